"""Loggers for metrics and images of a run: a CSV table, TensorBoard, Weights & Biases. The x-axis is images seen."""

from gan_lab.training.loggers.csv import CSV
from gan_lab.training.loggers.marks import LOGS, Marks, begin_logs, log_marks
from gan_lab.training.loggers.media import log_animation, log_checkpoint, log_image, log_table
from gan_lab.training.loggers.tensorboard import TensorBoard
from gan_lab.training.loggers.wandb import WandB

__all__ = [
    "CSV",
    "LOGS",
    "Marks",
    "TensorBoard",
    "WandB",
    "begin_logs",
    "log_animation",
    "log_checkpoint",
    "log_image",
    "log_marks",
    "log_table",
]

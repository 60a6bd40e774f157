"""CSV and TensorBoard: what they store, what they drop after a resume, what they do not support."""

import csv
import time
from pathlib import Path
from types import SimpleNamespace

import torch
from tensorboard.backend.event_processing.data_provider import MultiplexerDataProvider
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.backend.event_processing.plugin_event_multiplexer import EventMultiplexer
from tensorboard.context import RequestContext
from tensorboard.plugins.hparams.api_pb2 import ListSessionGroupsRequest, Status
from tensorboard.plugins.hparams.backend_context import Context
from tensorboard.plugins.hparams.list_session_groups import Handler

from gan_lab.common.images import save_animation
from gan_lab.training.loggers import (
    CSV,
    TensorBoard,
    begin_logs,
    log_animation,
    log_checkpoint,
    log_image,
    log_marks,
    log_table,
)

IMAGE = torch.zeros(3, 4, 5, dtype=torch.uint8)


def table(folder: Path) -> list[dict[str, str]]:
    with (folder / "metrics.csv").open() as file:
        return list(csv.DictReader(file))


def test_csv_has_one_row_a_step_and_images_first(tmp_path):
    logger = CSV(tmp_path)
    logger.log_metrics({"b": 0.5, "a": torch.tensor(0.25)}, step=64)
    logger.save()
    logger.log_metrics({"later": 3}, step=64)
    logger.log_metrics({"a": 1e-7}, step=128)
    logger.finalize("success")
    assert (tmp_path / "metrics.csv").read_text().splitlines()[0] == "images,a,b,later"
    assert table(tmp_path) == [
        {"images": "64", "a": "0.25", "b": "0.5", "later": "3"},
        {"images": "128", "a": "1e-07", "b": "", "later": ""},
    ]


def test_csv_is_readable_after_every_save(tmp_path):
    logger = CSV(tmp_path)
    for step in range(1, 6):
        logger.log_metrics({"loss": float(step)}, step)
        logger.save()
        logger.log_metrics({"speed": 2.0}, step)
        logger.save()
        assert [row["images"] for row in table(tmp_path)] == [str(i) for i in range(1, step + 1)]
    assert [row["speed"] for row in table(tmp_path)] == ["2"] * 5


def test_csv_is_flushed_at_intervals(tmp_path, monkeypatch):
    monkeypatch.setattr("gan_lab.training.loggers.csv.FLUSH_SECONDS", 0.0)
    CSV(tmp_path).log_metrics({"loss": 1.0}, 1)
    assert len(table(tmp_path)) == 1


def test_csv_resumes_and_drops_rows_after_the_checkpoint(tmp_path):
    first = CSV(tmp_path)
    for step in (10, 20, 30, 40):
        first.log_metrics({"loss": float(step), "old": 1.0}, step)
    first.save()
    with (tmp_path / "metrics.csv").open("a") as file:
        file.write("1")  # a row of step 100, cut by a crash
    resumed = CSV(tmp_path)
    resumed.log_metrics({"loss": -1.0, "new": 2.0}, step=30)
    resumed.finalize("success")
    assert [(row["images"], row["loss"], row["old"], row["new"]) for row in table(tmp_path)] == [
        ("10", "10", "1", ""),
        ("20", "20", "1", ""),
        ("30", "-1", "1", "2"),
    ]


def events(folder: Path) -> EventAccumulator:
    return EventAccumulator(str(folder / "tensorboard")).Reload()


def test_tensorboard_stores_metrics_images_and_the_configuration(tmp_path):
    logger = TensorBoard(tmp_path)
    logger.log_hyperparams({"model": {"lr": 1e-4}})
    log_image([logger], "samples", IMAGE, step=7)
    logger.log_metrics({"loss": 1.5}, step=8)
    logger.finalize("success")
    found = events(tmp_path)
    assert [(e.step, e.value) for e in found.Scalars("loss")] == [(8, 1.5)]
    assert [(e.step, e.height, e.width) for e in found.Images("samples")] == [(7, 4, 5)]
    assert b'"lr": 0.0001' in found.Tensors("config/text_summary")[0].tensor_proto.string_val[0]
    assert not (tmp_path / "tensorboard" / "hparams.yaml").exists()


def test_tensorboard_hides_events_after_the_checkpoint(tmp_path):
    for part in ([10, 20, 30, 40], [30]):
        time.sleep(1)  # files are read in the order of their names, which hold the second
        logger = TensorBoard(tmp_path)
        for step in part:
            logger.log_metrics({"loss": 100.0 * len(part) + step}, step)
        logger.finalize("failed")
    assert [(e.step, e.value) for e in events(tmp_path).Scalars("loss")] == [(10, 410.0), (20, 420.0), (30, 130.0)]


def test_tensorboard_plays_animations_and_shows_tables(tmp_path):
    save_animation(tmp_path / "walk.gif", torch.stack([IMAGE, IMAGE + 99]))
    logger = TensorBoard(tmp_path)
    log_animation([logger], "interpolation", tmp_path / "walk.gif", 9)
    log_table([logger], "metrics", ["metric", "value"], [["a|b", 2.5], ["fid", None]], 9)
    logger.finalize("success")
    found = events(tmp_path)
    (shown,) = found.Images("interpolation")
    assert (shown.step, shown.height, shown.width) == (9, 4, 5)
    assert shown.encoded_image_string == (tmp_path / "walk.gif").read_bytes()
    (table,) = found.Tensors("metrics/text_summary")
    assert table.tensor_proto.string_val == [b"metric|value\n---|---\na\\|b|2.5\nfid|"]


def hyperparameters(folder: Path) -> list:
    """The entries of TensorBoard's HPARAMS page: a group of sessions for each set of hyperparameters."""
    runs = EventMultiplexer().AddRunsFromDirectory(str(folder))
    runs.Reload()
    context = Context(SimpleNamespace(data_provider=MultiplexerDataProvider(runs, str(folder))))
    ctx = RequestContext()
    metadata = context.hparams_metadata(ctx, ""), context.hparams_from_data_provider(ctx, "", None)
    experiment = context.experiment_from_metadata(ctx, "", True, *metadata)
    request = ListSessionGroupsRequest(start_index=0, slice_size=9, allowed_statuses=list(Status.values()))
    for metric in experiment.metric_infos:
        request.col_params.add(metric=metric.name)
    return list(Handler(ctx, context, "", request).run().session_groups)


def test_tensorboard_lists_a_resumed_run_once_with_hyperparameters_and_metrics(tmp_path):
    config = {"model": {"lr": 1e-4, "name": "dcgan"}, "none": None, "betas": [0.5, 0.9]}
    for value in (3.5, 2.5):
        logger = TensorBoard(tmp_path)
        logger.log_hyperparams(config)
        logger.log_metrics({"metric_train/fd_grey": value}, step=round(100 / value))
        logger.finalize("success")
        time.sleep(1)  # files are read in the order of their names, which hold the second
    (group,) = hyperparameters(tmp_path)
    assert {name: value.string_value or value.number_value for name, value in group.hparams.items()} == {
        "model.lr": 1e-4, "model.name": "dcgan", "betas": "[0.5, 0.9]"}  # fmt: skip
    (session,) = group.sessions
    assert session.status == Status.STATUS_SUCCESS
    assert [(each.name.tag, each.value) for each in session.metric_values] == [("metric_train/fd_grey", 2.5)]
    assert {path.name for path in (tmp_path / "tensorboard").iterdir() if path.is_dir()} == set()


def test_a_logger_ignores_what_it_does_not_support(tmp_path):
    save_animation(tmp_path / "walk.gif", IMAGE[None])
    logger = CSV(tmp_path / "run")
    log_image([logger], "samples", IMAGE, step=1)
    log_animation([logger], "interpolation", tmp_path / "walk.gif", 1)
    log_table([logger], "metrics", ["metric"], [["fid"]], 1)
    log_checkpoint([logger], tmp_path / "last.ckpt", "last")
    assert not (tmp_path / "run").exists()


def test_csv_reaches_the_disk_before_a_checkpoint_and_begins_where_it_stands(tmp_path):
    logger = CSV(tmp_path)
    for step in (10, 20, 30):
        logger.log_metrics({"loss": float(step)}, step)
    assert log_marks([logger]) == {}
    assert [row["images"] for row in table(tmp_path)] == ["10", "20", "30"]
    resumed = CSV(tmp_path)
    begin_logs([resumed], 20, {})
    resumed.log_metrics({"loss": 4.0}, 40)
    resumed.save()
    assert [row["images"] for row in table(tmp_path)] == ["10", "20", "40"]


def test_damaged_rows_are_left_out_and_a_damaged_header_begins_anew(tmp_path):
    (tmp_path / "metrics.csv").write_bytes(b"images,loss\n10,1\n\0\xff\nx,2\n20\n30,3,4\n40,5\n5")
    logger = CSV(tmp_path)
    begin_logs([logger], 50, None)
    logger.log_metrics({"loss": 6.0}, 60)
    logger.save()
    assert [(row["images"], row["loss"]) for row in table(tmp_path)] == [("10", "1"), ("40", "5"), ("60", "6")]

    (tmp_path / "metrics.csv").write_bytes(b"\xff\0,loss\n10,1\n")
    logger = CSV(tmp_path)
    logger.log_metrics({"loss": 7.0}, 70)
    logger.save()
    assert [row["images"] for row in table(tmp_path)] == ["70"]
    assert (tmp_path / "metrics.csv.bak").read_bytes() == b"\xff\0,loss\n10,1\n"


def test_tensorboard_forgets_what_came_after_the_marks_even_at_the_same_step(tmp_path):
    first = TensorBoard(tmp_path)
    first.log_metrics({"loss": 1.0}, 10)
    marks = log_marks([first])
    first.log_metrics({"metric": 2.0}, 10)
    first.log_metrics({"loss": 3.0}, 20)
    first.save()
    time.sleep(1)  # files are read in the order of their names, which hold the second
    second = TensorBoard(tmp_path)
    begin_logs([second], 10, marks)
    second.log_metrics({"metric": 4.0}, 10)
    second.finalize("failed")
    found = events(tmp_path)
    assert [(e.step, e.value) for e in found.Scalars("loss")] == [(10, 1.0)]
    assert [(e.step, e.value) for e in found.Scalars("metric")] == [(10, 4.0)]
    third = TensorBoard(tmp_path)  # from the first checkpoint once more
    begin_logs([third], 10, marks)
    third.finalize("failed")
    assert "metric" not in events(tmp_path).Tags()["scalars"]


def test_a_writer_is_not_opened_before_it_is_used(tmp_path):
    logger = TensorBoard(tmp_path)
    writer = logger.experiment  # as Lightning asks for it
    assert not list(tmp_path.iterdir())
    writer.add_scalar("own", 1.0, 5)
    logger.finalize("failed")
    assert [(e.step, e.value) for e in events(tmp_path).Scalars("own")] == [(5, 1.0)]

import csv
import os
import socket
import time
from pathlib import Path

import pytest
import torch
from lightning.pytorch.loggers import WandbLogger
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from gan_lab.loggers import CSV, TensorBoard, WandB, log_checkpoint, log_image

PICTURE = torch.zeros(3, 4, 5, dtype=torch.uint8)


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


def test_csv_reaches_the_disk_by_itself(tmp_path, monkeypatch):
    monkeypatch.setattr("gan_lab.loggers.csv.FLUSH_SECONDS", 0.0)
    CSV(tmp_path).log_metrics({"loss": 1.0}, 1)
    assert len(table(tmp_path)) == 1


def test_csv_resumes_and_drops_what_came_after_the_checkpoint(tmp_path):
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


def test_tensorboard_keeps_figures_pictures_and_the_configuration(tmp_path):
    logger = TensorBoard(tmp_path)
    logger.log_hyperparams({"model": {"lr": 1e-4}})
    log_image([logger], "samples", PICTURE, step=7)
    logger.log_metrics({"loss": 1.5}, step=8)
    logger.finalize("success")
    found = events(tmp_path)
    assert [(e.step, e.value) for e in found.Scalars("loss")] == [(8, 1.5)]
    assert [(e.step, e.height, e.width) for e in found.Images("samples")] == [(7, 4, 5)]
    assert b'"lr": 0.0001' in found.Tensors("config/text_summary")[0].tensor_proto.string_val[0]
    assert not (tmp_path / "tensorboard" / "hparams.yaml").exists()


def test_tensorboard_hides_what_came_after_the_checkpoint(tmp_path):
    for part in ([10, 20, 30, 40], [30]):
        time.sleep(1)  # files are read in the order of their names, which hold the second
        logger = TensorBoard(tmp_path)
        for step in part:
            logger.log_metrics({"loss": 100.0 * len(part) + step}, step)
        logger.finalize("failed")
    assert [(e.step, e.value) for e in events(tmp_path).Scalars("loss")] == [(10, 410.0), (20, 420.0), (30, 130.0)]


def test_pictures_pass_a_logger_that_shows_none(tmp_path):
    log_image([CSV(tmp_path)], "samples", PICTURE, step=1)
    assert not list(tmp_path.iterdir())


@pytest.fixture
def wandb_home(tmp_path, monkeypatch):
    """A machine that has never seen W&B: no key, no settings, an own home."""
    import wandb

    for name in [name for name in os.environ if name.startswith("WANDB_") or name.lower().endswith("_proxy")]:
        monkeypatch.delenv(name)
    for name, value in {
        "HOME": tmp_path / "home",
        "NETRC": tmp_path / "home" / "netrc",
        "WANDB_SILENT": "true",
    }.items():
        monkeypatch.setenv(name, str(value))
    wandb.teardown()
    yield tmp_path / "home"
    wandb.teardown()
    for name in ("WANDB_CACHE_DIR", "WANDB_DATA_DIR"):
        os.environ.pop(name, None)


def use(logger: WandB) -> str:
    """What a run does with its logger; its id."""
    logger.log_hyperparams({"seed": 1})
    logger.log_metrics({"loss": 1.0}, step=64)
    log_image([logger], "samples", PICTURE, step=64)
    run_id = logger.experiment.id
    logger.finalize("success")
    return run_id


def offline_runs(folder: Path) -> list[Path]:
    return list((folder / "wandb").glob("offline-run-*/*.wandb"))


def test_wandb_offline_stays_in_the_run_folder_and_resumes_one_run(wandb_home, tmp_path, monkeypatch, recwarn):
    monkeypatch.setenv("WANDB_MODE", "offline")
    folder = tmp_path / "run"
    checkpoint = folder / "last.ckpt"
    first = WandB(folder, log_model=True)
    assert isinstance(first, WandbLogger)
    folder.mkdir()
    checkpoint.write_text("weights")
    log_checkpoint([first], checkpoint)
    assert use(first) == use(WandB(folder)) == (folder / "wandb_id").read_text()
    assert use(WandB(tmp_path / "other")) != (folder / "wandb_id").read_text()
    assert {path.name for path in tmp_path.iterdir()} <= {"run", "other", "home"}
    assert not [path for path in wandb_home.rglob("*") if path.is_file()]
    assert not [w for w in recwarn if "offline" in str(w.message)]
    assert list((folder / "wandb").glob("offline-run-*/files/media/images/samples*.png"))
    assert [path for path in (folder / "wandb" / "data").rglob("*") if path.is_file() and path.read_text() == "weights"]


def test_wandb_without_a_key_warns_once_and_records_offline(wandb_home, tmp_path):
    with pytest.warns(UserWarning, match="no key") as caught:
        use(WandB(tmp_path / "run"))
    assert len([w for w in caught if "Weights & Biases" in str(w.message)]) == 1
    assert offline_runs(tmp_path / "run")


def test_wandb_without_a_network_warns_once_and_records_offline(wandb_home, tmp_path, monkeypatch):
    monkeypatch.setenv("WANDB_API_KEY", "0" * 40)
    monkeypatch.setenv("WANDB_BASE_URL", "http://127.0.0.1:9")
    with pytest.warns(UserWarning, match="cannot be reached") as caught:
        use(WandB(tmp_path / "run"))
    assert len([w for w in caught if "Weights & Biases" in str(w.message)]) == 1
    assert offline_runs(tmp_path / "run")


def test_wandb_with_a_key_that_is_refused_records_offline(wandb_home, tmp_path, monkeypatch):
    with socket.create_server(("127.0.0.1", 0)) as server:
        monkeypatch.setenv("WANDB_BASE_URL", f"http://127.0.0.1:{server.getsockname()[1]}")
        monkeypatch.setenv("WANDB_API_KEY", "no key")
        with pytest.warns(UserWarning, match="refused"):
            use(WandB(tmp_path / "run"))
    assert offline_runs(tmp_path / "run")


def test_wandb_disabled_writes_no_run(wandb_home, tmp_path, monkeypatch):
    monkeypatch.setenv("WANDB_MODE", "disabled")
    use(WandB(tmp_path / "run"))
    assert not offline_runs(tmp_path / "run")

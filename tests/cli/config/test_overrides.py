"""The path grammar and completion: what a shell hands over reaches the program as it was written."""

import sys
from pathlib import Path

import pytest
from hydra import compose, initialize_config_dir
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException

from gan_lab.cli.app import main
from gan_lab.cli.config.hydra_versions import version_arguments
from gan_lab.cli.config.mistakes import in_one_sentence
from gan_lab.cli.config.overrides import quote_paths, unknown_choice
from gan_lab.cli.values import path_keys
from gan_lab.evaluate import evaluate
from gan_lab.predict import predict
from gan_lab.train import train

NAMES = ["photo(1).jpg", "a,b.jpg", "epoch=3.ckpt", "été.jpg", "2024", "a b", "it's", 'say "so"', "x\\", "x\\'y", "[1]",
         "{a:b}", "#1", "true", "a:b", "1e3", "100%", "*.png", "a\\\\'b", "null.png"]  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    ("command", "key"),
    [(predict, "checkpoint"), (train, "data.root"), (predict, "output"), (predict, "+data.test_file")],
)
def test_a_path_survives_hydras_grammar(command, key, name):
    (override,) = OverridesParser.create().parse_overrides(quote_paths([f"{key}={name}"], command.request))
    value = override.value()
    assert isinstance(value if isinstance(value, str) else value.text, str)
    assert (value if isinstance(value, str) else value.text) == name


def test_home_is_expanded():
    (override,) = OverridesParser.create().parse_overrides(quote_paths(["checkpoint=~/x.ckpt"], predict.request))
    assert override.value() == str(Path.home() / "x.ckpt")


def test_everything_else_is_left_alone(tmp_path):
    same = ["model=dcgan", "seed=1,2", "resume=auto", "resume=null", "checkpoint='a b'", "--help", "-m", "runs="]
    assert quote_paths(same, predict.request) == same
    assert quote_paths(["-m", "checkpoint=a.ckpt,b.ckpt"], predict.request)[1] == "checkpoint=a.ckpt,b.ckpt"
    both = tmp_path / "a,b"
    both.touch()
    assert quote_paths(["-m", f"checkpoint={both}"], predict.request)[1] == f"checkpoint='{both}'"


@pytest.mark.parametrize(
    ("line", "answer"), [("gan-lab fe", "fetch\n"), ("gan-lab compare runs/", ""), ("gan-lab fetch inc", "")]
)
def test_commands_are_completed_and_files_left_to_the_shell(line, answer, monkeypatch, capsys):
    monkeypatch.setenv("COMP_LINE", line)
    monkeypatch.setattr(sys, "argv", ["gan-lab", "-sc", "query=bash"])
    main()
    assert capsys.readouterr() == (answer, "")


def test_a_list_with_a_wrong_choice_names_the_right_ones():
    assert unknown_choice(["model=dcgan", "metrics=[fid,kdi]"]).startswith(
        "There is no metrics=kdi: did you mean kid? Choose among authenticity, "
    )
    assert "give [] for none" in unknown_choice(["metrics=null"])
    assert "grey" in unknown_choice(["extractor@quick=[ grey, colur ]"])
    right = ["metrics=[fid,kid]", "data.size=[8,8]", "trust=[mine]", "remedy=[]", "metrics=[fid],[kid]"]
    assert unknown_choice(right) is None
    assert unknown_choice(["metrics=[mine]", "hydra.searchpath=[file://mine]"]) is None


def test_keys_that_take_paths_are_known_from_the_requests_types():
    assert {"resume", "init_from", "run_dir", "record", "data_dir", "data.root", "data.test_file"} <= set(
        path_keys(train.request)
    )
    assert {"extractor.*.weights", "callbacks.fidelity.weights.*"} <= set(path_keys(train.request))
    assert {"checkpoint", "real", "fake", "answers", "output", "weights.*", "data.test_file"} <= set(
        path_keys(evaluate.request)
    )
    assert not {"n", "seed", "batch_size", "trust"} & set(path_keys(predict.request))


def test_a_file_that_chooses_a_group_that_is_read_later_is_told_so(tmp_path):
    for name, text in {
        "main": "defaults: [recipe: mine, sweep: none]",
        "recipe/mine": "defaults: [override /sweep: rates]",
        "sweep/none": "{}",
        "sweep/rates": "{}",
    }.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / f"{name}.yaml").write_text(text)
    with initialize_config_dir(str(tmp_path), **version_arguments()), pytest.raises(HydraException) as raised:
        compose("main")
    told = "A file of another group cannot choose sweep: give sweep=… on the command line."
    assert in_one_sentence(raised.value) == told

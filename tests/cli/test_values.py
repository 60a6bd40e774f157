"""Values checked by annotation."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, get_type_hints

import pytest

from gan_lab.cli.command import commands
from gan_lab.cli.requests import Size
from gan_lab.cli.values import convert
from gan_lab.common.bounds import Bounds, PositiveInt, Share
from gan_lab.common.errors import UserError


@pytest.mark.parametrize(
    ("annotation", "value", "expected"),
    [
        (PositiveInt, 1e3, 1000),
        (float, 2, 2.0),
        (Path, 2024, Path("2024")),
        (Path | None, None, None),
        (Literal["auto"] | PositiveInt, "auto", "auto"),
        (tuple[str, ...], ["a", "b"], ("a", "b")),
        (Size, [8, 16], (8, 16)),
        (Literal["keep"] | Size, 8, 8),
        (Literal[0] | Annotated[int, Bounds(2)], 0, 0),
        (Annotated[Mapping[str, Any] | None, int], None, None),
        (bool, True, True),
    ],
)
def test_a_value_is_taken_as_its_annotation_says(annotation, value, expected):
    found = convert("key", value, annotation)
    assert found == expected and type(found) is type(expected)


@pytest.mark.parametrize(
    ("annotation", "value", "said"),
    [
        (PositiveInt, 0, "key=0 is not valid: give an integer of at least 1."),
        (PositiveInt, True, "key=true is not valid: give an integer of at least 1."),
        (PositiveInt, 1.5, "key=1.5 is not valid: give an integer of at least 1."),
        (PositiveInt | None, "many", "key=many is not valid: give an integer of at least 1 or null."),
        (Share, 1.5, "key=1.5 is not valid: give a number above 0 and at most 1."),
        (bool, None, "key=null is not valid: give true or false."),
        (bool, 1, "key=1 is not valid: give true or false."),
        (Literal["a", "b"], "c", "key=c is not valid: give a or b."),
        (Size, [1, 2, 3], "key=[1,2,3] is not valid: give an integer of at least 1 or [height,width]."),
        (Mapping[str, Any], "x", "key=x is not valid: give keys and values."),
    ],
)
def test_another_value_is_refused_in_a_sentence(annotation, value, said):
    with pytest.raises(UserError) as refusal:
        convert("key", value, annotation)
    assert str(refusal.value) == said


@pytest.mark.parametrize("command", [each for each in commands() if "root" in get_type_hints(each.request)])
def test_the_place_of_data_may_be_a_url(command):
    hint = get_type_hints(command.request, include_extras=True)["root"]
    assert convert("root", "s3://bucket/set", hint) == "s3://bucket/set"

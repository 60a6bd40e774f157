"""Names that were probably meant."""

from collections.abc import Iterable


def nearest(name: str, known: Iterable[str]) -> str | None:
    """Returns the known name that differs from a mistyped one the least; None if all differ by more than a slip.

    A slip is a letter too many, too few or another, or two letters exchanged: one in names of three to six letters,
    and one more for each four further letters. Shorter names are all alike.
    """
    allowed = (len(name) + 1) // 4
    distances = sorted((slips(name, each), each) for each in known)
    return distances[0][1] if distances and distances[0][0] <= allowed else None


def slips(one: str, other: str) -> int:
    """Returns the least number of letters to insert, delete, replace or exchange with the next that makes the names
    equal (the optimal string alignment distance).
    """
    before, row = [0] * (len(other) + 1), [*range(len(other) + 1)]
    for i, a in enumerate(one, 1):
        before, last, row = row, before, [i]
        for j, b in enumerate(other, 1):
            row.append(min(before[j] + 1, row[j - 1] + 1, before[j - 1] + (a != b)))
            if i > 1 and j > 1 and a == other[j - 2] and b == one[i - 2]:
                row[j] = min(row[j], last[j - 2] + 1)
    return row[-1]

"""Names of splits and labels, as folders and arrays are called in the wild."""

import re

SPLITS = {
    "train": ("train", "training"),
    "validation": ("validation", "valid", "val", "dev"),
    "test": ("test", "testing"),
}
_WORDS = "|".join(word for words in SPLITS.values() for word in words)
_IMAGES = re.compile(rf"(?:x_|images_)?({_WORDS})(?:_x|_images?|/images?|/x)?", re.IGNORECASE)
_LABELS = re.compile(
    rf"(?:(?:y|labels?)_({_WORDS})|({_WORDS})[_/](?:y|labels?)|labels?|y)", re.IGNORECASE
)
# A split's name with more behind it: trainA, test_2, val2017.
_ALMOST = re.compile(rf"(?i:{_WORDS})(?![a-z]).+")


def find_splits(names, where):
    """Which names are splits: a dict of "train", "validation", "test" to the name that means it.

    The usual names are known in any case: Train, training, TEST, testing, val, valid, dev, and for
    arrays x_train, train_images and the like.

    Raises:
        ValueError: for two names of one split, or a name that only begins as one (`trainA`), whose
            images might be trained on though they are for tests.
    """
    found = {}
    for name in names:
        match = _IMAGES.fullmatch(name)
        if match is None:
            if _ALMOST.fullmatch(name) and not _LABELS.fullmatch(name):
                raise ValueError(
                    f"{where} must have splits called train, validation and test (or {_usual()}, "
                    f"in any case). Received: {name!r}, which might be one of them: rename it"
                )
            continue
        split = _split(match[1])
        if split in found:
            raise ValueError(
                f"{where} must have one {split!r}. Received: {found[split]!r} and {name!r}"
            )
        found[split] = name
    return {split: found[split] for split in SPLITS if split in found}


def find_labels(names):
    """Which names are labels: a dict of a split, or "" for those of a single array, to the name."""
    matches = [match for name in names if (match := _LABELS.fullmatch(name))]
    return {_split(match[1] or match[2] or ""): match[0] for match in matches}


def _split(word):
    return next((split for split, words in SPLITS.items() if word.lower() in words), "")


def _usual():
    return ", ".join(word for split, words in SPLITS.items() for word in words if word != split)

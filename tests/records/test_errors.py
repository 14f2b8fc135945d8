"""What a person is told of an exception: one line, whoever wrote the exception."""

from __future__ import annotations

import logging

from hypothesis import given
from hypothesis import strategies as st

from dkl_ae.records import InstrumentError, UserError, described, sentence_of


class UnspeakableError(Exception):
    """Of a foreign library whose text cannot be made."""

    def __str__(self) -> str:
        raise RuntimeError("no words")


texts = st.text(max_size=60) | st.text(st.sampled_from("ab \n\t\r\v\x85\u2028"), max_size=50).map(lambda t: t * 100)
foreign = st.one_of(
    st.sampled_from([ValueError, OSError, KeyError, RuntimeError, UserError, InstrumentError, SystemExit]).flatmap(
        texts.map
    ),
    st.builds(KeyboardInterrupt),
    st.builds(UnspeakableError),
)


@given(foreign)
def test_it_is_one_line_that_can_be_read(error) -> None:
    for sentence in (sentence_of(error), sentence_of(error, "nothing is lost"), described(error)):
        assert len(sentence.splitlines()) == 1
        assert sentence == sentence.strip()
        assert len(sentence) <= 1000
    if not isinstance(error, UserError):
        assert len(sentence_of(error)) <= 320
        assert type(error).__name__ in sentence_of(error)


@given(st.integers(2, 100))
def test_the_log_has_the_whole_of_what_is_left_out(lines) -> None:
    records: list[str] = []
    handler = logging.Handler()
    handler.emit = lambda record: records.append(record.getMessage())
    logger = logging.getLogger("dkl_ae.records.errors")
    logger.addHandler(handler)
    try:
        error = RuntimeError("\n".join(f"line {number} of many" for number in range(lines)))
        sentence = sentence_of(error)
    finally:
        logger.removeHandler(handler)
    is_whole = " ".join(str(error).split()) in sentence
    assert is_whole != any(str(error) in record for record in records)

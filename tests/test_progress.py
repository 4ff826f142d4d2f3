import io
import json

import pytest

from groundtune.progress import DISPLAYS, Clock, Jsonl, Plain, Silent, clock_text, display


def test_plain_says_begin_end_and_what_was_done() -> None:
    stream = io.StringIO()
    with Plain(stream).start("embed", 10, "chunks") as task:
        task.advance(4)
        task.advance(6)
    first, last = stream.getvalue().splitlines()
    assert first == "embed (10 chunks) …"
    assert last.startswith("embed: done, 10 chunks in ")


def test_plain_says_that_a_step_stopped_and_how_far_it_came() -> None:
    stream = io.StringIO()
    with pytest.raises(RuntimeError), Plain(stream).start("embed", 10, "chunks") as task:
        task.advance(3)
        raise RuntimeError
    assert "stopped after" in stream.getvalue()
    assert "3 chunks done" in stream.getvalue()


def test_plain_tells_rate_and_time_left_when_it_is_time() -> None:
    stream = io.StringIO()
    with Plain(stream, every=0.0).start("tune", 100, "tokens") as task:
        task.advance(50, loss="0.41")
    line = stream.getvalue().splitlines()[1]
    assert "50/100 tokens" in line and "/s" in line and "left" in line and "loss 0.41" in line


def test_jsonl_is_one_object_a_line() -> None:
    stream = io.StringIO()
    shown = Jsonl(stream)
    with shown.start("embed", 2, "chunks") as task:
        task.advance(2, loss="1.0")
    shown.note("done")
    events = [json.loads(line) for line in stream.getvalue().splitlines()]
    assert [event["event"] for event in events] == ["start", "advance", "end", "note"]
    assert events[1]["done"] == 2 and events[1]["left"] == 0.0 and events[1]["loss"] == "1.0"


@pytest.mark.parametrize("name", DISPLAYS)
def test_every_display_can_be_asked_for_and_used(name: str) -> None:
    with display(name).start("x", 1, "y") as task:  # type: ignore[arg-type]
        task.advance(1)


def test_silence_is_silent(capsys: pytest.CaptureFixture[str]) -> None:
    Silent().note("x")
    with Silent().start("x") as task:
        task.advance()
    assert capsys.readouterr() == ("", "")


def test_without_a_total_no_time_left_is_claimed() -> None:
    assert Clock(None).left is None


@pytest.mark.parametrize(("seconds", "text"), [(None, "unknown"), (5.2, "5 s"), (59.6, "1 min 0 s"), (200, "3 min 20 s")])
def test_clock_text(seconds: float | None, text: str) -> None:
    assert clock_text(seconds) == text

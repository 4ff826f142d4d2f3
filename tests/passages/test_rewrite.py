from groundtune.models.chat import Request
from groundtune.models.scripted import ScriptedChat
from groundtune.passages.rewrite import LONGEST_QUERY, Rewriter

HISTORY = [
    {"role": "system", "content": "a secret instruction"},
    {"role": "user", "content": "How long is a slot for trucks?"},
    {"role": "assistant", "content": "30 minutes."},
]


def test_a_question_is_rewritten_from_the_turns_before_it_and_from_nothing_else() -> None:
    chat = ScriptedChat(['"How long is a slot for barges?"\n'])
    writer = Rewriter(chat)
    assert writer.standalone("And for barges?", HISTORY) == "How long is a slot for barges?"
    [request] = chat.calls[0]["requests"]
    shown = request.messages[-1]["content"]
    assert "How long is a slot for trucks?" in shown and "30 minutes." in shown and "And for barges?" in shown
    assert "secret" not in shown
    assert (writer.calls, writer.tokens[1] > 0, writer.notes) == (1, True, [])


def test_the_first_question_is_not_rewritten() -> None:
    chat = ScriptedChat(["something else"])
    assert Rewriter(chat).standalone("How long is a slot?", []) == "How long is a slot?"
    assert chat.calls == []


def test_lists_are_read_without_numbers_bullets_and_repeats() -> None:
    said = '1. What is the slot length?\n- "slot duration"\n\n2) slot duration\n(3) How long is a slot?\n• ???\n' + "x" * (
        LONGEST_QUERY + 1
    )
    assert Rewriter(ScriptedChat([said])).variants("how long is a slot?", 3) == ["What is the slot length?", "slot duration"]
    assert Rewriter(ScriptedChat([said])).parts("Which?", 1) == ["What is the slot length?"]


def test_a_model_that_says_nothing_or_fails_leaves_the_question_and_a_note() -> None:
    silent = Rewriter(ScriptedChat(["  \n"]))
    assert silent.standalone("And?", HISTORY) == "And?"
    assert silent.imagined("And?") is None
    assert silent.variants("And?", 2) == silent.parts("And?", 2) == []
    assert len(silent.notes) == 4
    failing = Rewriter(ScriptedChat({"never": "x"}))
    assert failing.imagined("And?") is None
    assert "has no line" in failing.notes[0]


def test_what_is_imagined_is_one_line() -> None:
    def say(request: Request) -> str:
        return "A slot lasts\n  30 minutes. " * 200

    text = Rewriter(ScriptedChat(say)).imagined("How long?")
    assert text is not None and "\n" not in text and text.startswith("A slot lasts 30 minutes.") and len(text) <= 1200

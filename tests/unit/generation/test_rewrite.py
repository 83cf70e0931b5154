from __future__ import annotations

import pytest

from engine.generation.prompt import REFUSAL
from engine.generation.rewrite import standalone_question
from engine.types import Message

REVENUE = ("What was the revenue of Acme in 2015?", "Acme's revenue was 5.2 million in 2015. [1]")
FOUNDER = ("Who founded Acme?", "Jane Roe founded Acme in 1990. [1]")
SEGMENTS = ("Which segments does 3M have?", "Health Care and Consumer. [1]")


def ask(question, *turns):
    history = [Message(role="user" if i % 2 == 0 else "assistant", text=text) for i, text in enumerate(turns)]
    return standalone_question(question, history)


@pytest.mark.parametrize(
    ("turns", "question", "expected"),
    [
        (REVENUE, "and in 2016?", "What was the revenue of Acme in 2016?"),
        (REVENUE, "What about Globex?", "What was the revenue of Globex in 2015?"),
        ((*REVENUE, "and in 2016?", "5.9 million [1]"), "and in 2017?", "What was the revenue of Acme in 2017?"),
        (REVENUE, "what about its competitors?", "what about its competitors? (Acme)"),
        (REVENUE, "why?", "why? (Acme, revenue, 2015)"),
        (REVENUE, "And the operating margin?", "And the operating margin? (Acme, revenue, 2015)"),
        (FOUNDER, "Where was she born?", "Where was she born? (Jane Roe, Acme)"),
        (FOUNDER, "in which year?", "in which year? (Acme, founded)"),
        (SEGMENTS, "Which of them is the largest?", "Which of them is the largest? (3M)"),
        (("2015年的收入是多少？", "五百万"), "那2016年呢？", "2015年的收入是多少？ 那2016年呢？"),
    ],
)
def test_a_follow_up_takes_what_it_lacks_from_the_conversation(turns, question, expected):
    assert ask(question, *turns) == expected


@pytest.mark.parametrize(
    "question",
    [
        "How many people work at Globex Corporation?",
        "When did Tesla publish its results?",
        "What does the warranty cover?",
        "How long does it take to ship a parcel?",
        "What time is it in Warsaw?",
        "What is the name of the theory that explains gravity?",
        "Photosynthesis?",
        "公司的竞争对手是谁？",
        "这家公司的收入是多少？",
        "",
    ],
)
def test_a_question_that_stands_alone_is_left_alone(question):
    assert ask(question, *REVENUE) == question


def test_without_a_conversation_nothing_changes():
    assert ask("and in 2016?") == "and in 2016?"


def test_a_refusal_lends_no_words():
    assert ask("Where was she born?", "Who founded Acme?", REFUSAL) == "Where was she born? (Acme)"

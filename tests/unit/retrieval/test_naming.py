"""A question that names a document finds it; one that does not changes nothing."""

from __future__ import annotations

from engine.retrieval.naming import named

FILINGS = {
    "a17": "AMAZON_2017_10K.pdf",
    "a19": "AMAZON_2019_10K.pdf",
    "b23": "BESTBUY_2023_10K.pdf",
    "b24": "BESTBUY_2024Q2_10Q.pdf",
    "n17": "NETFLIX_2017_10K.pdf",
}


def best(question: str) -> str:
    scores = named(question, FILINGS)
    return max(scores, key=lambda key: scores[key])


def test_company_and_year_together_name_one_filing() -> None:
    assert best("What is Amazon's FY2017 days payable outstanding?") == "a17"
    assert best("What was Netflix's revenue in 2017?") == "n17"


def test_a_name_written_apart_and_a_quarter_inside_a_word_are_found() -> None:
    assert best("What did Best Buy sell in Q2 of 2024?") == "b24"


def test_a_document_that_carries_all_named_terms_scores_one() -> None:
    assert named("Amazon 2017", FILINGS)["a17"] == 1.0
    assert 0 < named("Amazon 2017", FILINGS)["n17"] < named("Amazon 2017", FILINGS)["a19"] + 1 < 2


def test_nothing_named_nothing_scored() -> None:
    assert set(named("Who chairs the board?", FILINGS).values()) == {0.0}
    assert named("anything", {}) == {}


def test_a_term_that_all_names_share_tells_nothing() -> None:
    assert set(named("the report", {"x": "report one.txt", "y": "report two.txt"}).values()) == {0.0}


def test_a_single_document_is_neither_raised_nor_lowered() -> None:
    assert named("leave policy", {"x": "leave.txt"}) == {"x": 0.0}

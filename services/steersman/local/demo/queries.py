"""What the demo asks: about a dozen queries of different difficulty, over every way in."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Final

Messages = list[dict[str, str]]


class Way(Enum):
    """How a query reaches the router; the value is what the table shows."""

    GRPC_STREAM = "gRPC Chat"
    GRPC_UNARY = "gRPC Complete"
    GRPC_STREAM_RAW = "gRPC Chat, OpenAI body"
    GRPC_UNARY_RAW = "gRPC Complete, OpenAI body"
    OPENAI_STREAM = "openai SDK, stream"
    OPENAI_UNARY = "openai SDK"


@dataclass(frozen=True, slots=True)
class Query:
    """One query.

    Attributes:
        text: What the user says.
        way: How it is sent.
        goes_on: Whether it continues the conversation of the query before.
    """

    text: str
    way: Way
    goes_on: bool = False


_CAPITAL: Final = "What is the capital of Australia?"

QUERIES: Final = (
    Query(_CAPITAL, Way.GRPC_STREAM),
    Query("Hi! How are you today?", Way.OPENAI_UNARY),
    Query("Translate 'good morning' into French.", Way.OPENAI_STREAM),
    Query(
        "Maria earns 18 euros an hour. Last week she worked 6 hours on each of 4 days and 5 hours on Saturday, when "
        "she is paid half as much again. She spends a third of what she earns on rent, 45 euros on food and 20 euros "
        "on a bus pass, and saves 20 % of the rest. How much does she save, and after how many such weeks has she "
        "saved 1000 euros?",
        Way.GRPC_UNARY,
    ),
    Query("Name three colours of the rainbow.", Way.GRPC_UNARY_RAW),
    Query(
        "Write a Python function that merges overlapping intervals, and state its time complexity.",
        Way.OPENAI_STREAM,
    ),
    Query(
        "A shop buys 240 mugs at 3.50 euros each and sells 60 % of them at a markup of 80 %. Of the rest, half go at "
        "a discount of 25 % on that price and the others at cost. What is the profit, and by how many per cent would "
        "the first price have to rise for the profit to be 700 euros?",
        Way.GRPC_STREAM,
    ),
    Query("Prove that the square root of 2 is irrational.", Way.GRPC_STREAM_RAW),
    Query(
        "A bakery sells 120 loaves on Monday, 15 % more on Tuesday, and on Wednesday 20 fewer than on Tuesday. Each "
        "loaf costs 1.40 euros to make and sells for 2.60 euros. On the three days 5, 8 and 12 loaves are left over "
        "and sold at half price. What is the bakery's total profit?",
        Way.OPENAI_UNARY,
    ),
    Query("And what would it be if every loaf cost 10 cents more to make?", Way.OPENAI_UNARY, goes_on=True),
    Query("Which statistical test fits two small, paired samples that are not normal?", Way.OPENAI_UNARY),
    Query("Write a haiku about autumn rain.", Way.OPENAI_STREAM),
    Query(_CAPITAL, Way.OPENAI_UNARY),
)

import datetime

from google.protobuf import timestamp_pb2 as _timestamp_pb2
from steersman.api.v1 import decision_pb2 as _decision_pb2
from steersman.api.v1 import router_service_pb2 as _router_service_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class DecisionRule(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    DECISION_RULE_UNSPECIFIED: _ClassVar[DecisionRule]
    DECISION_RULE_BOUNDARIES: _ClassVar[DecisionRule]
    DECISION_RULE_PROPORTIONAL: _ClassVar[DecisionRule]
    DECISION_RULE_STRONG: _ClassVar[DecisionRule]
    DECISION_RULE_WEAK: _ClassVar[DecisionRule]
    DECISION_RULE_SESSION: _ClassVar[DecisionRule]
    DECISION_RULE_BUDGET: _ClassVar[DecisionRule]
    DECISION_RULE_CALLER: _ClassVar[DecisionRule]
    DECISION_RULE_ONLY_TIER: _ClassVar[DecisionRule]
DECISION_RULE_UNSPECIFIED: DecisionRule
DECISION_RULE_BOUNDARIES: DecisionRule
DECISION_RULE_PROPORTIONAL: DecisionRule
DECISION_RULE_STRONG: DecisionRule
DECISION_RULE_WEAK: DecisionRule
DECISION_RULE_SESSION: DecisionRule
DECISION_RULE_BUDGET: DecisionRule
DECISION_RULE_CALLER: DecisionRule
DECISION_RULE_ONLY_TIER: DecisionRule

class ExplainDecisionRequest(_message.Message):
    __slots__ = ("id",)
    ID_FIELD_NUMBER: _ClassVar[int]
    id: str
    def __init__(self, id: _Optional[str] = ...) -> None: ...

class ExplainDecisionResponse(_message.Message):
    __slots__ = ("sentence", "decision", "rule", "tiers", "own_threshold", "novelty_limit", "decide_time", "outcome", "summary")
    SENTENCE_FIELD_NUMBER: _ClassVar[int]
    DECISION_FIELD_NUMBER: _ClassVar[int]
    RULE_FIELD_NUMBER: _ClassVar[int]
    TIERS_FIELD_NUMBER: _ClassVar[int]
    OWN_THRESHOLD_FIELD_NUMBER: _ClassVar[int]
    NOVELTY_LIMIT_FIELD_NUMBER: _ClassVar[int]
    DECIDE_TIME_FIELD_NUMBER: _ClassVar[int]
    OUTCOME_FIELD_NUMBER: _ClassVar[int]
    SUMMARY_FIELD_NUMBER: _ClassVar[int]
    sentence: str
    decision: _decision_pb2.Decision
    rule: DecisionRule
    tiers: _containers.RepeatedScalarFieldContainer[str]
    own_threshold: bool
    novelty_limit: float
    decide_time: _timestamp_pb2.Timestamp
    outcome: str
    summary: _router_service_pb2.Summary
    def __init__(self, sentence: _Optional[str] = ..., decision: _Optional[_Union[_decision_pb2.Decision, _Mapping]] = ..., rule: _Optional[_Union[DecisionRule, str]] = ..., tiers: _Optional[_Iterable[str]] = ..., own_threshold: _Optional[bool] = ..., novelty_limit: _Optional[float] = ..., decide_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., outcome: _Optional[str] = ..., summary: _Optional[_Union[_router_service_pb2.Summary, _Mapping]] = ...) -> None: ...

class SubmitFeedbackRequest(_message.Message):
    __slots__ = ("id", "quality")
    ID_FIELD_NUMBER: _ClassVar[int]
    QUALITY_FIELD_NUMBER: _ClassVar[int]
    id: str
    quality: float
    def __init__(self, id: _Optional[str] = ..., quality: _Optional[float] = ...) -> None: ...

class SubmitFeedbackResponse(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

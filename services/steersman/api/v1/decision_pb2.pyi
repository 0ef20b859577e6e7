import datetime

from google.protobuf import duration_pb2 as _duration_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class DecisionReason(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    DECISION_REASON_UNSPECIFIED: _ClassVar[DecisionReason]
    DECISION_REASON_SCORE: _ClassVar[DecisionReason]
    DECISION_REASON_OVERRIDE: _ClassVar[DecisionReason]
    DECISION_REASON_SINGLE_TIER: _ClassVar[DecisionReason]
    DECISION_REASON_CAPABILITY: _ClassVar[DecisionReason]
    DECISION_REASON_CLASSIFIER_UNAVAILABLE: _ClassVar[DecisionReason]
    DECISION_REASON_CLASSIFIER_TIMEOUT: _ClassVar[DecisionReason]
    DECISION_REASON_CLASSIFIER_FAILED: _ClassVar[DecisionReason]
    DECISION_REASON_TIER_UNAVAILABLE: _ClassVar[DecisionReason]
    DECISION_REASON_TIER_COLD: _ClassVar[DecisionReason]
    DECISION_REASON_OUT_OF_DOMAIN: _ClassVar[DecisionReason]
    DECISION_REASON_SESSION: _ClassVar[DecisionReason]
    DECISION_REASON_BUDGET: _ClassVar[DecisionReason]

class CacheState(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    CACHE_STATE_UNSPECIFIED: _ClassVar[CacheState]
    CACHE_STATE_L1_HIT: _ClassVar[CacheState]
    CACHE_STATE_L2_HIT: _ClassVar[CacheState]
    CACHE_STATE_MISS: _ClassVar[CacheState]
    CACHE_STATE_COALESCED: _ClassVar[CacheState]
    CACHE_STATE_BYPASSED: _ClassVar[CacheState]
DECISION_REASON_UNSPECIFIED: DecisionReason
DECISION_REASON_SCORE: DecisionReason
DECISION_REASON_OVERRIDE: DecisionReason
DECISION_REASON_SINGLE_TIER: DecisionReason
DECISION_REASON_CAPABILITY: DecisionReason
DECISION_REASON_CLASSIFIER_UNAVAILABLE: DecisionReason
DECISION_REASON_CLASSIFIER_TIMEOUT: DecisionReason
DECISION_REASON_CLASSIFIER_FAILED: DecisionReason
DECISION_REASON_TIER_UNAVAILABLE: DecisionReason
DECISION_REASON_TIER_COLD: DecisionReason
DECISION_REASON_OUT_OF_DOMAIN: DecisionReason
DECISION_REASON_SESSION: DecisionReason
DECISION_REASON_BUDGET: DecisionReason
CACHE_STATE_UNSPECIFIED: CacheState
CACHE_STATE_L1_HIT: CacheState
CACHE_STATE_L2_HIT: CacheState
CACHE_STATE_MISS: CacheState
CACHE_STATE_COALESCED: CacheState
CACHE_STATE_BYPASSED: CacheState

class Decision(_message.Message):
    __slots__ = ("id", "tier", "wanted_tier", "reason", "score", "win_probability", "novelty", "truncated", "boundaries", "policy", "policy_version", "classifier", "cache", "classifier_failure", "out_of_domain")
    ID_FIELD_NUMBER: _ClassVar[int]
    TIER_FIELD_NUMBER: _ClassVar[int]
    WANTED_TIER_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    SCORE_FIELD_NUMBER: _ClassVar[int]
    WIN_PROBABILITY_FIELD_NUMBER: _ClassVar[int]
    NOVELTY_FIELD_NUMBER: _ClassVar[int]
    TRUNCATED_FIELD_NUMBER: _ClassVar[int]
    BOUNDARIES_FIELD_NUMBER: _ClassVar[int]
    POLICY_FIELD_NUMBER: _ClassVar[int]
    POLICY_VERSION_FIELD_NUMBER: _ClassVar[int]
    CLASSIFIER_FIELD_NUMBER: _ClassVar[int]
    CACHE_FIELD_NUMBER: _ClassVar[int]
    CLASSIFIER_FAILURE_FIELD_NUMBER: _ClassVar[int]
    OUT_OF_DOMAIN_FIELD_NUMBER: _ClassVar[int]
    id: str
    tier: str
    wanted_tier: str
    reason: DecisionReason
    score: float
    win_probability: float
    novelty: float
    truncated: bool
    boundaries: _containers.RepeatedScalarFieldContainer[float]
    policy: str
    policy_version: str
    classifier: Classifier
    cache: CacheState
    classifier_failure: DecisionReason
    out_of_domain: bool
    def __init__(self, id: _Optional[str] = ..., tier: _Optional[str] = ..., wanted_tier: _Optional[str] = ..., reason: _Optional[_Union[DecisionReason, str]] = ..., score: _Optional[float] = ..., win_probability: _Optional[float] = ..., novelty: _Optional[float] = ..., truncated: _Optional[bool] = ..., boundaries: _Optional[_Iterable[float]] = ..., policy: _Optional[str] = ..., policy_version: _Optional[str] = ..., classifier: _Optional[_Union[Classifier, _Mapping]] = ..., cache: _Optional[_Union[CacheState, str]] = ..., classifier_failure: _Optional[_Union[DecisionReason, str]] = ..., out_of_domain: _Optional[bool] = ...) -> None: ...

class Classifier(_message.Message):
    __slots__ = ("name", "version", "artefact_digest")
    NAME_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    ARTEFACT_DIGEST_FIELD_NUMBER: _ClassVar[int]
    name: str
    version: str
    artefact_digest: str
    def __init__(self, name: _Optional[str] = ..., version: _Optional[str] = ..., artefact_digest: _Optional[str] = ...) -> None: ...

class Overhead(_message.Message):
    __slots__ = ("admission", "cache", "classify", "decide", "dispatch", "total")
    ADMISSION_FIELD_NUMBER: _ClassVar[int]
    CACHE_FIELD_NUMBER: _ClassVar[int]
    CLASSIFY_FIELD_NUMBER: _ClassVar[int]
    DECIDE_FIELD_NUMBER: _ClassVar[int]
    DISPATCH_FIELD_NUMBER: _ClassVar[int]
    TOTAL_FIELD_NUMBER: _ClassVar[int]
    admission: _duration_pb2.Duration
    cache: _duration_pb2.Duration
    classify: _duration_pb2.Duration
    decide: _duration_pb2.Duration
    dispatch: _duration_pb2.Duration
    total: _duration_pb2.Duration
    def __init__(self, admission: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., cache: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., classify: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., decide: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., dispatch: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., total: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ...) -> None: ...

class Usage(_message.Message):
    __slots__ = ("prompt_tokens", "completion_tokens", "cached_tokens", "estimated")
    PROMPT_TOKENS_FIELD_NUMBER: _ClassVar[int]
    COMPLETION_TOKENS_FIELD_NUMBER: _ClassVar[int]
    CACHED_TOKENS_FIELD_NUMBER: _ClassVar[int]
    ESTIMATED_FIELD_NUMBER: _ClassVar[int]
    prompt_tokens: int
    completion_tokens: int
    cached_tokens: int
    estimated: bool
    def __init__(self, prompt_tokens: _Optional[int] = ..., completion_tokens: _Optional[int] = ..., cached_tokens: _Optional[int] = ..., estimated: _Optional[bool] = ...) -> None: ...

class Cost(_message.Message):
    __slots__ = ("usd", "strongest_tier_usd", "joules")
    USD_FIELD_NUMBER: _ClassVar[int]
    STRONGEST_TIER_USD_FIELD_NUMBER: _ClassVar[int]
    JOULES_FIELD_NUMBER: _ClassVar[int]
    usd: float
    strongest_tier_usd: float
    joules: float
    def __init__(self, usd: _Optional[float] = ..., strongest_tier_usd: _Optional[float] = ..., joules: _Optional[float] = ...) -> None: ...

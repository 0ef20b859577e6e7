import datetime

from google.protobuf import duration_pb2 as _duration_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class StreamDemandRequest(_message.Message):
    __slots__ = ("interval",)
    INTERVAL_FIELD_NUMBER: _ClassVar[int]
    interval: _duration_pb2.Duration
    def __init__(self, interval: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ...) -> None: ...

class StreamDemandResponse(_message.Message):
    __slots__ = ("replica", "tiers", "classifier", "router")
    REPLICA_FIELD_NUMBER: _ClassVar[int]
    TIERS_FIELD_NUMBER: _ClassVar[int]
    CLASSIFIER_FIELD_NUMBER: _ClassVar[int]
    ROUTER_FIELD_NUMBER: _ClassVar[int]
    replica: str
    tiers: _containers.RepeatedCompositeFieldContainer[TierDemand]
    classifier: Demand
    router: Demand
    def __init__(self, replica: _Optional[str] = ..., tiers: _Optional[_Iterable[_Union[TierDemand, _Mapping]]] = ..., classifier: _Optional[_Union[Demand, _Mapping]] = ..., router: _Optional[_Union[Demand, _Mapping]] = ...) -> None: ...

class TierDemand(_message.Message):
    __slots__ = ("tier", "demand")
    TIER_FIELD_NUMBER: _ClassVar[int]
    DEMAND_FIELD_NUMBER: _ClassVar[int]
    tier: str
    demand: Demand
    def __init__(self, tier: _Optional[str] = ..., demand: _Optional[_Union[Demand, _Mapping]] = ...) -> None: ...

class Demand(_message.Message):
    __slots__ = ("waiting", "running", "unmet_total")
    WAITING_FIELD_NUMBER: _ClassVar[int]
    RUNNING_FIELD_NUMBER: _ClassVar[int]
    UNMET_TOTAL_FIELD_NUMBER: _ClassVar[int]
    waiting: int
    running: int
    unmet_total: int
    def __init__(self, waiting: _Optional[int] = ..., running: _Optional[int] = ..., unmet_total: _Optional[int] = ...) -> None: ...

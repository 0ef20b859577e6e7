from steersman.api.v1 import decision_pb2 as _decision_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class PolicySource(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    POLICY_SOURCE_UNSPECIFIED: _ClassVar[PolicySource]
    POLICY_SOURCE_FILE: _ClassVar[PolicySource]
    POLICY_SOURCE_RESOURCE: _ClassVar[PolicySource]
POLICY_SOURCE_UNSPECIFIED: PolicySource
POLICY_SOURCE_FILE: PolicySource
POLICY_SOURCE_RESOURCE: PolicySource

class ReportPoliciesRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class ReportPoliciesResponse(_message.Message):
    __slots__ = ("replica", "classifier", "policies", "refused")
    REPLICA_FIELD_NUMBER: _ClassVar[int]
    CLASSIFIER_FIELD_NUMBER: _ClassVar[int]
    POLICIES_FIELD_NUMBER: _ClassVar[int]
    REFUSED_FIELD_NUMBER: _ClassVar[int]
    replica: str
    classifier: _decision_pb2.Classifier
    policies: _containers.RepeatedCompositeFieldContainer[HeldPolicy]
    refused: _containers.RepeatedCompositeFieldContainer[RefusedPolicy]
    def __init__(self, replica: _Optional[str] = ..., classifier: _Optional[_Union[_decision_pb2.Classifier, _Mapping]] = ..., policies: _Optional[_Iterable[_Union[HeldPolicy, _Mapping]]] = ..., refused: _Optional[_Iterable[_Union[RefusedPolicy, _Mapping]]] = ...) -> None: ...

class HeldPolicy(_message.Message):
    __slots__ = ("name", "version", "source", "resource", "boundaries", "tiers")
    NAME_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    SOURCE_FIELD_NUMBER: _ClassVar[int]
    RESOURCE_FIELD_NUMBER: _ClassVar[int]
    BOUNDARIES_FIELD_NUMBER: _ClassVar[int]
    TIERS_FIELD_NUMBER: _ClassVar[int]
    name: str
    version: str
    source: PolicySource
    resource: PolicyResource
    boundaries: _containers.RepeatedScalarFieldContainer[float]
    tiers: _containers.RepeatedCompositeFieldContainer[TierDecisions]
    def __init__(self, name: _Optional[str] = ..., version: _Optional[str] = ..., source: _Optional[_Union[PolicySource, str]] = ..., resource: _Optional[_Union[PolicyResource, _Mapping]] = ..., boundaries: _Optional[_Iterable[float]] = ..., tiers: _Optional[_Iterable[_Union[TierDecisions, _Mapping]]] = ...) -> None: ...

class PolicyResource(_message.Message):
    __slots__ = ("namespace", "name", "uid", "generation")
    NAMESPACE_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    UID_FIELD_NUMBER: _ClassVar[int]
    GENERATION_FIELD_NUMBER: _ClassVar[int]
    namespace: str
    name: str
    uid: str
    generation: int
    def __init__(self, namespace: _Optional[str] = ..., name: _Optional[str] = ..., uid: _Optional[str] = ..., generation: _Optional[int] = ...) -> None: ...

class TierDecisions(_message.Message):
    __slots__ = ("tier", "wanted_total", "answered_total")
    TIER_FIELD_NUMBER: _ClassVar[int]
    WANTED_TOTAL_FIELD_NUMBER: _ClassVar[int]
    ANSWERED_TOTAL_FIELD_NUMBER: _ClassVar[int]
    tier: str
    wanted_total: int
    answered_total: int
    def __init__(self, tier: _Optional[str] = ..., wanted_total: _Optional[int] = ..., answered_total: _Optional[int] = ...) -> None: ...

class RefusedPolicy(_message.Message):
    __slots__ = ("resource", "reason", "generation_in_force")
    RESOURCE_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    GENERATION_IN_FORCE_FIELD_NUMBER: _ClassVar[int]
    resource: PolicyResource
    reason: str
    generation_in_force: int
    def __init__(self, resource: _Optional[_Union[PolicyResource, _Mapping]] = ..., reason: _Optional[str] = ..., generation_in_force: _Optional[int] = ...) -> None: ...

from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable
from typing import ClassVar as _ClassVar, Optional as _Optional

DESCRIPTOR: _descriptor.FileDescriptor

class GenerateRequest(_message.Message):
    __slots__ = ("openai_body", "tenant", "weight")
    OPENAI_BODY_FIELD_NUMBER: _ClassVar[int]
    TENANT_FIELD_NUMBER: _ClassVar[int]
    WEIGHT_FIELD_NUMBER: _ClassVar[int]
    openai_body: bytes
    tenant: str
    weight: float
    def __init__(self, openai_body: _Optional[bytes] = ..., tenant: _Optional[str] = ..., weight: _Optional[float] = ...) -> None: ...

class GenerateResponse(_message.Message):
    __slots__ = ("openai_chunks",)
    OPENAI_CHUNKS_FIELD_NUMBER: _ClassVar[int]
    openai_chunks: _containers.RepeatedScalarFieldContainer[bytes]
    def __init__(self, openai_chunks: _Optional[_Iterable[bytes]] = ...) -> None: ...

class GetLoadRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class GetLoadResponse(_message.Message):
    __slots__ = ("waiting", "running", "slots", "tokens_per_second", "draining")
    WAITING_FIELD_NUMBER: _ClassVar[int]
    RUNNING_FIELD_NUMBER: _ClassVar[int]
    SLOTS_FIELD_NUMBER: _ClassVar[int]
    TOKENS_PER_SECOND_FIELD_NUMBER: _ClassVar[int]
    DRAINING_FIELD_NUMBER: _ClassVar[int]
    waiting: int
    running: int
    slots: int
    tokens_per_second: float
    draining: bool
    def __init__(self, waiting: _Optional[int] = ..., running: _Optional[int] = ..., slots: _Optional[int] = ..., tokens_per_second: _Optional[float] = ..., draining: _Optional[bool] = ...) -> None: ...

class GetModelRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class GetModelResponse(_message.Message):
    __slots__ = ("model", "tier", "context_window", "slots")
    MODEL_FIELD_NUMBER: _ClassVar[int]
    TIER_FIELD_NUMBER: _ClassVar[int]
    CONTEXT_WINDOW_FIELD_NUMBER: _ClassVar[int]
    SLOTS_FIELD_NUMBER: _ClassVar[int]
    model: str
    tier: str
    context_window: int
    slots: int
    def __init__(self, model: _Optional[str] = ..., tier: _Optional[str] = ..., context_window: _Optional[int] = ..., slots: _Optional[int] = ...) -> None: ...

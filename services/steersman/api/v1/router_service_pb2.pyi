import datetime

from google.protobuf import duration_pb2 as _duration_pb2
from steersman.api.v1 import chat_pb2 as _chat_pb2
from steersman.api.v1 import decision_pb2 as _decision_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class RouteRequest(_message.Message):
    __slots__ = ("model", "conversation", "openai_body", "threshold", "session_id")
    MODEL_FIELD_NUMBER: _ClassVar[int]
    CONVERSATION_FIELD_NUMBER: _ClassVar[int]
    OPENAI_BODY_FIELD_NUMBER: _ClassVar[int]
    THRESHOLD_FIELD_NUMBER: _ClassVar[int]
    SESSION_ID_FIELD_NUMBER: _ClassVar[int]
    model: str
    conversation: _chat_pb2.Conversation
    openai_body: bytes
    threshold: float
    session_id: str
    def __init__(self, model: _Optional[str] = ..., conversation: _Optional[_Union[_chat_pb2.Conversation, _Mapping]] = ..., openai_body: _Optional[bytes] = ..., threshold: _Optional[float] = ..., session_id: _Optional[str] = ...) -> None: ...

class RouteResponse(_message.Message):
    __slots__ = ("decision", "overhead")
    DECISION_FIELD_NUMBER: _ClassVar[int]
    OVERHEAD_FIELD_NUMBER: _ClassVar[int]
    decision: _decision_pb2.Decision
    overhead: _decision_pb2.Overhead
    def __init__(self, decision: _Optional[_Union[_decision_pb2.Decision, _Mapping]] = ..., overhead: _Optional[_Union[_decision_pb2.Overhead, _Mapping]] = ...) -> None: ...

class ChatRequest(_message.Message):
    __slots__ = ("model", "conversation", "openai_body", "threshold", "options", "session_id")
    MODEL_FIELD_NUMBER: _ClassVar[int]
    CONVERSATION_FIELD_NUMBER: _ClassVar[int]
    OPENAI_BODY_FIELD_NUMBER: _ClassVar[int]
    THRESHOLD_FIELD_NUMBER: _ClassVar[int]
    OPTIONS_FIELD_NUMBER: _ClassVar[int]
    SESSION_ID_FIELD_NUMBER: _ClassVar[int]
    model: str
    conversation: _chat_pb2.Conversation
    openai_body: bytes
    threshold: float
    options: _chat_pb2.GenerationOptions
    session_id: str
    def __init__(self, model: _Optional[str] = ..., conversation: _Optional[_Union[_chat_pb2.Conversation, _Mapping]] = ..., openai_body: _Optional[bytes] = ..., threshold: _Optional[float] = ..., options: _Optional[_Union[_chat_pb2.GenerationOptions, _Mapping]] = ..., session_id: _Optional[str] = ...) -> None: ...

class ChatResponse(_message.Message):
    __slots__ = ("decision", "text", "openai_chunks", "summary")
    DECISION_FIELD_NUMBER: _ClassVar[int]
    TEXT_FIELD_NUMBER: _ClassVar[int]
    OPENAI_CHUNKS_FIELD_NUMBER: _ClassVar[int]
    SUMMARY_FIELD_NUMBER: _ClassVar[int]
    decision: _decision_pb2.Decision
    text: str
    openai_chunks: _containers.RepeatedScalarFieldContainer[bytes]
    summary: Summary
    def __init__(self, decision: _Optional[_Union[_decision_pb2.Decision, _Mapping]] = ..., text: _Optional[str] = ..., openai_chunks: _Optional[_Iterable[bytes]] = ..., summary: _Optional[_Union[Summary, _Mapping]] = ...) -> None: ...

class CompleteRequest(_message.Message):
    __slots__ = ("model", "conversation", "openai_body", "threshold", "options", "session_id")
    MODEL_FIELD_NUMBER: _ClassVar[int]
    CONVERSATION_FIELD_NUMBER: _ClassVar[int]
    OPENAI_BODY_FIELD_NUMBER: _ClassVar[int]
    THRESHOLD_FIELD_NUMBER: _ClassVar[int]
    OPTIONS_FIELD_NUMBER: _ClassVar[int]
    SESSION_ID_FIELD_NUMBER: _ClassVar[int]
    model: str
    conversation: _chat_pb2.Conversation
    openai_body: bytes
    threshold: float
    options: _chat_pb2.GenerationOptions
    session_id: str
    def __init__(self, model: _Optional[str] = ..., conversation: _Optional[_Union[_chat_pb2.Conversation, _Mapping]] = ..., openai_body: _Optional[bytes] = ..., threshold: _Optional[float] = ..., options: _Optional[_Union[_chat_pb2.GenerationOptions, _Mapping]] = ..., session_id: _Optional[str] = ...) -> None: ...

class CompleteResponse(_message.Message):
    __slots__ = ("decision", "text", "openai_body", "summary")
    DECISION_FIELD_NUMBER: _ClassVar[int]
    TEXT_FIELD_NUMBER: _ClassVar[int]
    OPENAI_BODY_FIELD_NUMBER: _ClassVar[int]
    SUMMARY_FIELD_NUMBER: _ClassVar[int]
    decision: _decision_pb2.Decision
    text: str
    openai_body: bytes
    summary: Summary
    def __init__(self, decision: _Optional[_Union[_decision_pb2.Decision, _Mapping]] = ..., text: _Optional[str] = ..., openai_body: _Optional[bytes] = ..., summary: _Optional[_Union[Summary, _Mapping]] = ...) -> None: ...

class Summary(_message.Message):
    __slots__ = ("finish_reason", "served_model", "usage", "cost", "overhead", "retries", "waited")
    FINISH_REASON_FIELD_NUMBER: _ClassVar[int]
    SERVED_MODEL_FIELD_NUMBER: _ClassVar[int]
    USAGE_FIELD_NUMBER: _ClassVar[int]
    COST_FIELD_NUMBER: _ClassVar[int]
    OVERHEAD_FIELD_NUMBER: _ClassVar[int]
    RETRIES_FIELD_NUMBER: _ClassVar[int]
    WAITED_FIELD_NUMBER: _ClassVar[int]
    finish_reason: str
    served_model: str
    usage: _decision_pb2.Usage
    cost: _decision_pb2.Cost
    overhead: _decision_pb2.Overhead
    retries: int
    waited: _duration_pb2.Duration
    def __init__(self, finish_reason: _Optional[str] = ..., served_model: _Optional[str] = ..., usage: _Optional[_Union[_decision_pb2.Usage, _Mapping]] = ..., cost: _Optional[_Union[_decision_pb2.Cost, _Mapping]] = ..., overhead: _Optional[_Union[_decision_pb2.Overhead, _Mapping]] = ..., retries: _Optional[int] = ..., waited: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ...) -> None: ...

"""Protocol buffers from a table of their fields, where generated code is missing or too heavy.

The generated code of TensorFlow Serving's messages imports TensorFlow, and leaves some out.
"""

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

_FIELD = descriptor_pb2.FieldDescriptorProto


def message_classes(messages):
    """Classes of protocol buffer messages, by name.

    Args:
        messages: `{message: {field: (number, type)}}`. A type is a scalar type of protocol buffers,
            such as "int64", or the name of a message of this table; in a list for a repeated field.
            A map is a repeated message of the fields `key` and `value`.

    Example:
        >>> from vlae_tf.serving.messages import message_classes
        >>> Point = message_classes({"Point": {"coordinates": (1, ["int64"])}})["Point"]
        >>> Point.FromString(Point(coordinates=[2, 3]).SerializeToString()).coordinates
        [2, 3]
    """
    file = descriptor_pb2.FileDescriptorProto(name="table.proto", syntax="proto3")
    for message, fields in messages.items():
        described = file.message_type.add(name=message)
        for name, (number, kind) in fields.items():
            repeated = isinstance(kind, list)
            kind = kind[0] if repeated else kind
            field = described.field.add(name=name, number=number)
            field.label = _FIELD.LABEL_REPEATED if repeated else _FIELD.LABEL_OPTIONAL
            if kind in messages:
                field.type, field.type_name = _FIELD.TYPE_MESSAGE, f".{kind}"
            else:
                field.type = _FIELD.Type.Value(f"TYPE_{kind.upper()}")
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return {
        name: message_factory.GetMessageClass(pool.FindMessageTypeByName(name)) for name in messages
    }

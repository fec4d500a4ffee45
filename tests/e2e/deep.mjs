// A network that is deep and nothing else.

/** A protobuf field: bytes or text with their length, or a whole number. */
function field(number, value) {
  const varint = (value) => (value < 128 ? [value] : [(value & 127) | 128, ...varint(value >>> 7)]);
  if (typeof value === "number") return Buffer.from([...varint(number << 3), ...varint(value)]);
  const bytes = Buffer.isBuffer(value) ? value : Buffer.from(value);
  return Buffer.concat([Buffer.from([...varint((number << 3) | 2), ...varint(bytes.length)]), bytes]);
}

/** An ONNX model of `count` Abs nodes, one after another, on four floats. */
export function deepModel(count) {
  const shape = field(2, field(1, field(1, 4)));
  const port = (name) => Buffer.concat([field(1, name), field(2, field(1, Buffer.concat([field(1, 1), shape])))]);
  const node = (_, at) => field(1, Buffer.concat([field(1, `v${at}`), field(2, `v${at + 1}`), field(3, `step_${at}`), field(4, "Abs")]));
  const graph = [...Array.from({ length: count }, node), field(2, "deep"), field(11, port("v0")), field(12, port(`v${count}`))];
  return Buffer.concat([field(1, 8), field(7, Buffer.concat(graph)), field(8, field(2, 13))]);
}

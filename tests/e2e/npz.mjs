// Reads .zip / .npz / .npy, independently of the application's own writer and reader.
import { inflateRawSync } from "node:zlib";

/** A zip archive (no zip64) as a Map of member name -> bytes. */
export function readZip(bytes) {
  const end = bytes.lastIndexOf(Buffer.from("PK\x05\x06", "latin1"));
  if (end < 0) throw new Error("not a zip archive");
  const members = new Map();
  let at = bytes.readUInt32LE(end + 16);
  for (let left = bytes.readUInt16LE(end + 10); left > 0; left--) {
    const method = bytes.readUInt16LE(at + 10);
    const packed = bytes.readUInt32LE(at + 20);
    const [nameLength, extraLength, commentLength] = [28, 30, 32].map((offset) => bytes.readUInt16LE(at + offset));
    const local = bytes.readUInt32LE(at + 42);
    const name = bytes.toString("utf8", at + 46, at + 46 + nameLength);
    const start = local + 30 + bytes.readUInt16LE(local + 26) + bytes.readUInt16LE(local + 28);
    const data = bytes.subarray(start, start + packed);
    if (method !== 0 && method !== 8) throw new Error(`${name}: compression method ${method}`);
    members.set(name, method === 8 ? inflateRawSync(data) : data);
    at += 46 + nameLength + extraLength + commentLength;
  }
  return members;
}

const arrays = {
  "|b1": Uint8Array,
  "|u1": Uint8Array,
  "|i1": Int8Array,
  "<u2": Uint16Array,
  "<i2": Int16Array,
  "<u4": Uint32Array,
  "<i4": Int32Array,
  "<u8": BigUint64Array,
  "<i8": BigInt64Array,
  "<f4": Float32Array,
  "<f8": Float64Array,
};

/** A .npy file as { dtype, shape, data }, `data` a typed array in C order. */
export function readNpy(bytes) {
  if (bytes.toString("latin1", 0, 6) !== "\x93NUMPY") throw new Error("not a .npy file");
  const [length, start] = bytes[6] === 1 ? [bytes.readUInt16LE(8), 10] : [bytes.readUInt32LE(8), 12];
  const header = bytes.toString("latin1", start, start + length);
  const dtype = /'descr': '([^']*)'/.exec(header)[1];
  if (/'fortran_order': True/.test(header)) throw new Error("Fortran order");
  const shape = [.../'shape': \(([^)]*)\)/.exec(header)[1].matchAll(/\d+/g)].map(Number);
  const Type = arrays[dtype];
  if (!Type) throw new Error(`dtype ${dtype}`);
  const count = shape.reduce((product, size) => product * size, 1);
  const body = bytes.subarray(start + length, start + length + count * Type.BYTES_PER_ELEMENT);
  return { dtype, shape, data: new Type(new Uint8Array(body).buffer) };
}

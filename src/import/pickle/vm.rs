//! The stack machine: reads opcodes, builds values, calls nothing.

use super::opcode as op;
use super::text::{raw_unicode, unquote};
use super::value::{Id, Object, Pickle, Value};
use crate::import::ImportError;
use bytes::Bytes;
use std::collections::HashMap;

/// What stops the machine; turned into an [`ImportError`] with the place once, in [`Machine::run`].
enum Stop {
    CutShort { wanted: u64 },
    Broken(String),
    TooMany,
}

type Step<T> = Result<T, Stop>;

pub(super) struct Machine<'a> {
    bytes: &'a Bytes,
    position: usize,
    values: Vec<Value>,
    max_values: usize,
    stack: Vec<Id>,
    marks: Vec<usize>,
    memo: HashMap<u64, Id>,
}

impl<'a> Machine<'a> {
    pub fn new(bytes: &'a Bytes, max_values: usize) -> Self {
        let max_values = max_values.min(u32::MAX as usize);
        let (values, stack, marks, memo) = Default::default();
        Machine { bytes, position: 0, values, max_values, stack, marks, memo }
    }

    /// Runs to `STOP`.
    pub fn run(mut self) -> Result<(Pickle, usize), ImportError> {
        loop {
            let start = self.position;
            match self.step() {
                Ok(None) => {}
                Ok(Some(root)) => return Ok((Pickle { values: self.values, root }, self.position)),
                Err(stop) => return Err(self.error(start, stop)),
            }
        }
    }

    fn error(&self, start: usize, stop: Stop) -> ImportError {
        let place = format!("pickle, byte {start}");
        match stop {
            Stop::CutShort { wanted } => ImportError::cut_short(
                place,
                format!("{} bytes up to the end of the file", self.bytes.len().saturating_sub(self.position)),
                format!("{wanted} more bytes"),
            ),
            Stop::Broken(found) => ImportError::format(
                place,
                found,
                "a valid pickle instruction",
                "The file is damaged or not a Python pickle: copy or export it again.",
            ),
            Stop::TooMany => ImportError::LimitExceeded {
                place: place.into(),
                what: "values in one pickle".into(),
                found: self.values.len() as u64 + 1,
                limit: self.max_values as u64,
            },
        }
    }

    /// One opcode; the root at `STOP`.
    fn step(&mut self) -> Step<Option<Id>> {
        let code = self.byte()?;
        match code {
            op::STOP => return self.pop().map(Some),
            op::PROTO => {
                let version = self.byte()?;
                if version > 5 {
                    return Err(Stop::Broken(format!("pickle protocol {version}")));
                }
            }
            op::FRAME => _ = self.take(8)?,
            op::MARK => self.marks.push(self.stack.len()),
            op::POP => {
                if self.marks.last() == Some(&self.stack.len()) {
                    self.marks.pop();
                } else {
                    self.pop()?;
                }
            }
            op::POP_MARK => _ = self.since_mark()?,
            op::DUP => self.stack.push(self.top()?),
            op::NONE
            | op::NEWTRUE
            | op::NEWFALSE
            | op::INT..=op::BININT1
            | op::LONG
            | op::BININT2
            | op::LONG1
            | op::LONG4
            | op::FLOAT
            | op::BINFLOAT => self.number(code)?,
            op::STRING
            | op::BINSTRING
            | op::SHORT_BINSTRING
            | op::BINBYTES
            | op::SHORT_BINBYTES
            | op::BINBYTES8
            | op::BYTEARRAY8
            | op::UNICODE
            | op::BINUNICODE
            | op::SHORT_BINUNICODE
            | op::BINUNICODE8 => {
                self.string(code)?;
            }
            op::EMPTY_LIST
            | op::LIST
            | op::EMPTY_TUPLE
            | op::TUPLE
            | op::TUPLE1..=op::TUPLE3
            | op::EMPTY_DICT
            | op::DICT
            | op::EMPTY_SET
            | op::FROZENSET => self.collection(code)?,
            op::APPEND | op::APPENDS | op::ADDITEMS | op::SETITEM | op::SETITEMS => self.fill(code)?,
            op::GET | op::BINGET | op::LONG_BINGET | op::PUT | op::BINPUT | op::LONG_BINPUT | op::MEMOIZE => {
                self.memo(code)?;
            }
            op::GLOBAL
            | op::STACK_GLOBAL
            | op::INST
            | op::OBJ
            | op::REDUCE
            | op::NEWOBJ
            | op::NEWOBJ_EX
            | op::BUILD
            | op::PERSID
            | op::BINPERSID => self.object(code)?,
            op::EXT1 | op::EXT2 | op::EXT4 => {
                return Err(Stop::Broken("an extension code, whose meaning is not in the file".to_owned()));
            }
            op::NEXT_BUFFER | op::READONLY_BUFFER => {
                return Err(Stop::Broken("an out-of-band buffer, which is not in the file".to_owned()));
            }
            other => return Err(Stop::Broken(format!("the unknown opcode 0x{other:02x}"))),
        }
        Ok(None)
    }

    fn number(&mut self, code: u8) -> Step<()> {
        let value = match code {
            op::NONE => Value::None,
            op::NEWTRUE => Value::Bool(true),
            op::NEWFALSE => Value::Bool(false),
            op::BININT => Value::Int(i64::from(self.little()? as u32 as i32)),
            op::BININT1 => Value::Int(i64::from(self.byte()?)),
            op::BININT2 => Value::Int(self.number_of(2)? as i64),
            op::LONG1 | op::LONG4 => {
                let length = if code == op::LONG1 { u64::from(self.byte()?) } else { self.number_of(4)? };
                long(self.take(length)?)
            }
            op::BINFLOAT => Value::Float(f64::from_bits(self.number_of(8)?.swap_bytes())),
            op::FLOAT => {
                let line = self.line()?;
                let text = String::from_utf8_lossy(&line);
                Value::Float(text.trim().parse().map_err(|_| Stop::Broken("a float that is no number".to_owned()))?)
            }
            _ => self.text_int()?,
        };
        self.push(value)
    }

    /// `INT` and `LONG` of protocol 0: decimal text, `00` and `01` are booleans.
    fn text_int(&mut self) -> Step<Value> {
        let line = self.line()?;
        match line.as_ref() {
            b"00" => return Ok(Value::Bool(false)),
            b"01" => return Ok(Value::Bool(true)),
            _ => {}
        }
        let text = String::from_utf8_lossy(&line);
        let digits = text.trim().trim_end_matches('L');
        // Numbers beyond 64 bits have no use in the files read here.
        digits.parse().map(Value::Int).map_err(|_| Stop::Broken("an integer that is no number or too large".to_owned()))
    }

    fn string(&mut self, code: u8) -> Step<()> {
        let value = match code {
            op::STRING => {
                let line = self.line()?;
                let broken = || Stop::Broken("a string without its quotes".to_owned());
                Value::Bytes(unquote(&line).ok_or_else(broken)?.into())
            }
            op::UNICODE => {
                let line = self.line()?;
                Value::Text(raw_unicode(&line).ok_or_else(|| Stop::Broken("a broken unicode escape".to_owned()))?)
            }
            _ => {
                let length = match code {
                    op::SHORT_BINSTRING | op::SHORT_BINBYTES | op::SHORT_BINUNICODE => u64::from(self.byte()?),
                    op::BINSTRING | op::BINBYTES | op::BINUNICODE => self.number_of(4)?,
                    _ => self.number_of(8)?,
                };
                let content = self.take(length)?;
                match code {
                    op::BINUNICODE | op::SHORT_BINUNICODE | op::BINUNICODE8 => {
                        Value::Text(String::from_utf8_lossy(&content).into_owned())
                    }
                    _ => Value::Bytes(content),
                }
            }
        };
        self.push(value)
    }

    fn collection(&mut self, code: u8) -> Step<()> {
        let value = match code {
            op::EMPTY_LIST => Value::List(Vec::new()),
            op::EMPTY_TUPLE => Value::Tuple(Vec::new()),
            op::EMPTY_DICT => Value::Dict(Vec::new()),
            op::EMPTY_SET => Value::Set(Vec::new()),
            op::LIST => Value::List(self.since_mark()?),
            op::TUPLE => Value::Tuple(self.since_mark()?),
            op::FROZENSET => Value::Set(self.since_mark()?),
            op::DICT => Value::Dict(pairs(self.since_mark()?)?),
            _ => {
                let count = usize::from(code - op::TUPLE1) + 1;
                let start = self.stack.len().checked_sub(count).ok_or_else(underflow)?;
                Value::Tuple(self.stack.split_off(start))
            }
        };
        self.push(value)
    }

    fn fill(&mut self, code: u8) -> Step<()> {
        let items = match code {
            op::APPEND => vec![self.pop()?],
            op::SETITEM => {
                let value = self.pop()?;
                vec![self.pop()?, value]
            }
            _ => self.since_mark()?,
        };
        let target = self.top()?;
        let as_pairs = matches!(code, op::SETITEM | op::SETITEMS);
        match (self.values.get_mut(target.0 as usize), as_pairs) {
            (Some(Value::List(list) | Value::Set(list)), false) => list.extend(items),
            (Some(Value::Object(object)), false) => object.items.extend(items),
            (Some(Value::Dict(dict)), true) => dict.extend(pairs(items)?),
            (Some(Value::Object(object)), true) => object.pairs.extend(pairs(items)?),
            _ => return Err(Stop::Broken("items for something that holds none".to_owned())),
        }
        Ok(())
    }

    fn memo(&mut self, code: u8) -> Step<()> {
        let key = match code {
            op::GET | op::PUT => {
                let line = self.line()?;
                let text = String::from_utf8_lossy(&line);
                text.trim().parse().map_err(|_| Stop::Broken("a memo key that is no number".to_owned()))?
            }
            op::BINGET | op::BINPUT => u64::from(self.byte()?),
            op::MEMOIZE => self.memo.len() as u64,
            _ => self.number_of(4)?,
        };
        if matches!(code, op::GET | op::BINGET | op::LONG_BINGET) {
            let id =
                *self.memo.get(&key).ok_or_else(|| Stop::Broken(format!("memo {key}, which was never written")))?;
            self.stack.push(id);
        } else {
            self.memo.insert(key, self.top()?);
        }
        Ok(())
    }

    fn object(&mut self, code: u8) -> Step<()> {
        match code {
            op::GLOBAL => {
                let global = self.global_lines()?;
                self.push(global)
            }
            op::STACK_GLOBAL => {
                let (name, module) = (self.pop()?, self.pop()?);
                let text = |id: Id| match self.values.get(id.0 as usize) {
                    Some(Value::Text(text)) => Ok(text.clone()),
                    _ => Err(Stop::Broken("a global whose name is no text".to_owned())),
                };
                let global = Value::Global { module: text(module)?, name: text(name)? };
                self.push(global)
            }
            op::INST => {
                let global = self.global_lines()?;
                let args = self.since_mark()?;
                let callable = self.add(global)?;
                let args = self.add(Value::Tuple(args))?;
                self.push_object(callable, args, None)
            }
            op::OBJ => {
                let mut args = self.since_mark()?;
                if args.is_empty() {
                    return Err(underflow());
                }
                let callable = args.remove(0);
                let args = self.add(Value::Tuple(args))?;
                self.push_object(callable, args, None)
            }
            op::REDUCE | op::NEWOBJ => {
                let (args, callable) = (self.pop()?, self.pop()?);
                self.push_object(callable, args, None)
            }
            op::NEWOBJ_EX => {
                let (kwargs, args, callable) = (self.pop()?, self.pop()?, self.pop()?);
                self.push_object(callable, args, Some(kwargs))
            }
            op::BUILD => {
                let state = self.pop()?;
                let target = self.top()?;
                match self.values.get_mut(target.0 as usize) {
                    Some(Value::Object(object)) => object.state = Some(state),
                    _ => return Err(Stop::Broken("a state for something that is no object".to_owned())),
                }
                Ok(())
            }
            op::PERSID => {
                let line = self.line()?;
                let id = self.add(Value::Text(String::from_utf8_lossy(&line).into_owned()))?;
                self.push(Value::Persistent(id))
            }
            _ => {
                let id = self.pop()?;
                self.push(Value::Persistent(id))
            }
        }
    }

    fn push_object(&mut self, callable: Id, args: Id, kwargs: Option<Id>) -> Step<()> {
        let object = Object { callable, args, kwargs, state: None, items: Vec::new(), pairs: Vec::new() };
        self.push(Value::Object(Box::new(object)))
    }

    fn global_lines(&mut self) -> Step<Value> {
        let (module, name) = (self.line()?, self.line()?);
        let text = |line: &[u8]| String::from_utf8_lossy(line).into_owned();
        Ok(Value::Global { module: text(&module), name: text(&name) })
    }

    fn add(&mut self, value: Value) -> Step<Id> {
        if self.values.len() >= self.max_values {
            return Err(Stop::TooMany);
        }
        let id = Id(u32::try_from(self.values.len()).map_err(|_| Stop::TooMany)?);
        self.values.push(value);
        Ok(id)
    }

    fn push(&mut self, value: Value) -> Step<()> {
        let id = self.add(value)?;
        self.stack.push(id);
        Ok(())
    }

    fn pop(&mut self) -> Step<Id> {
        // What lies below a mark belongs to an unfinished collection.
        let floor = self.marks.last().copied().unwrap_or(0);
        if self.stack.len() <= floor {
            return Err(underflow());
        }
        self.stack.pop().ok_or_else(underflow)
    }

    fn top(&self) -> Step<Id> {
        self.stack.last().copied().ok_or_else(underflow)
    }

    fn since_mark(&mut self) -> Step<Vec<Id>> {
        let start =
            self.marks.pop().ok_or_else(|| Stop::Broken("the end of a collection without its start".to_owned()))?;
        if start > self.stack.len() {
            return Err(underflow());
        }
        Ok(self.stack.split_off(start))
    }

    fn byte(&mut self) -> Step<u8> {
        let byte = self.bytes.get(self.position).copied().ok_or(Stop::CutShort { wanted: 1 })?;
        self.position += 1;
        Ok(byte)
    }

    /// The next bytes, as a slice of the file.
    fn take(&mut self, length: u64) -> Step<Bytes> {
        let end = usize::try_from(length).ok().and_then(|length| self.position.checked_add(length));
        let end = end.filter(|&end| end <= self.bytes.len()).ok_or(Stop::CutShort { wanted: length })?;
        let taken = self.bytes.slice(self.position..end);
        self.position = end;
        Ok(taken)
    }

    fn little(&mut self) -> Step<u64> {
        self.number_of(4)
    }

    fn number_of(&mut self, width: u64) -> Step<u64> {
        Ok(self.take(width)?.iter().rev().fold(0, |n, &byte| n << 8 | u64::from(byte)))
    }

    /// Up to the newline, without it.
    fn line(&mut self) -> Step<Bytes> {
        let rest = self.bytes.get(self.position..).unwrap_or_default();
        let length = rest.iter().position(|&byte| byte == b'\n').ok_or(Stop::CutShort { wanted: 1 })?;
        let line = self.take(length as u64)?;
        self.position += 1;
        Ok(line)
    }
}

fn underflow() -> Stop {
    Stop::Broken("an instruction that needs more values than there are".to_owned())
}

fn pairs(items: Vec<Id>) -> Step<Vec<(Id, Id)>> {
    if !items.len().is_multiple_of(2) {
        return Err(Stop::Broken("a key without its value".to_owned()));
    }
    Ok(items.as_chunks().0.iter().map(|&[key, value]| (key, value)).collect())
}

/// A little-endian two's complement integer of any length.
fn long(bytes: Bytes) -> Value {
    if bytes.len() > 8 {
        return Value::Long(bytes);
    }
    let negative = bytes.last().is_some_and(|byte| byte & 0x80 != 0);
    let mut raw = [if negative { 0xff } else { 0 }; 8];
    raw.iter_mut().zip(bytes.iter()).for_each(|(to, from)| *to = *from);
    Value::Int(i64::from_le_bytes(raw))
}

#[cfg(test)]
mod tests {
    use super::super::parse;
    use super::*;

    fn read(bytes: &'static [u8]) -> (Pickle, Id) {
        let (pickle, _) = parse(&Bytes::from_static(bytes), 1000).unwrap();
        let root = pickle.root();
        (pickle, root)
    }

    #[test]
    fn protocol_0_and_2_dicts() {
        // pickle.dumps({'a': [1, -2, True, None, 2.5]}, 0) as Python 2 wrote it
        let (pickle, root) = read(b"(dp0\nS'a'\np1\n(lp2\nI1\naI-2\naI01\naNaF2.5\nas.");
        let items = pickle.items(pickle.entry(root, "a").unwrap()).unwrap().to_vec();
        assert_eq!(
            items.iter().map(|&id| pickle.int(id)).collect::<Vec<_>>(),
            [Some(1), Some(-2), Some(1), None, None]
        );
        assert_eq!(pickle.get(items[4]), &Value::Float(2.5));
        let (pickle, root) = read(b"\x80\x02}q\x00(U\x01aq\x01K\x05X\x01\x00\x00\x00bq\x02J\xfe\xff\xff\xffu.");
        assert_eq!(pickle.int(pickle.entry(root, "a").unwrap()), Some(5));
        assert_eq!(pickle.int(pickle.entry(root, "b").unwrap()), Some(-2));
    }

    #[test]
    fn longs_are_signed() {
        assert_eq!(long(Bytes::from_static(&[])), Value::Int(0));
        assert_eq!(long(Bytes::from_static(&[0xff, 0x7f])), Value::Int(32767));
        assert_eq!(long(Bytes::from_static(&[0x00, 0x80])), Value::Int(-32768));
        assert!(matches!(long(Bytes::from_static(&[1; 9])), Value::Long(_)));
    }

    #[test]
    fn calls_are_kept_and_never_made() {
        let (pickle, root) = read(b"\x80\x04\x8c\x05posix\x8c\x06system\x93\x8c\x02ls\x85R.");
        let (module, name, object) = pickle.call(root).unwrap();
        assert_eq!((module, name, pickle.items(object.args).unwrap().len()), ("posix", "system", 1));
        assert_eq!(pickle.foreign_globals(&["numpy"]), ["posix.system"]);
        let (pickle, _) = read(b"(S'ls'\nios\nsystem\n.");
        assert_eq!(pickle.foreign_globals(&[]), ["os.system"]);
    }

    #[test]
    fn cycles_and_depth_cost_no_stack() {
        let (pickle, root) = read(b"\x80\x02]q\x00h\x00a.");
        assert_eq!(pickle.items(root), Some([root].as_slice()));
        let mut deep = vec![b'('; 100_000];
        deep.extend(vec![b't'; 100_000]);
        deep.push(b'.');
        assert!(parse(&deep.into(), 200_000).is_ok());
    }

    #[test]
    fn limits_and_broken_files_are_errors() {
        let many = Bytes::from(vec![b'N'; 50]);
        assert!(matches!(parse(&many, 10), Err(ImportError::LimitExceeded { .. })));
        for bytes in [
            &b""[..],
            b"\x80\x02",
            b"\x80\x09.",
            b".",
            b"t.",
            b"a.",
            b"K\x01K\x01b.",
            b"h\x07.",
            b"T\xff\xff\xff\x7fabc",
            b"\x82\x01.",
        ] {
            assert!(parse(&Bytes::from_static(bytes), 100).is_err(), "{bytes:?}");
        }
    }
}

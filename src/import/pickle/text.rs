//! The text forms of protocol 0.

/// The bytes of a quoted Python 2 string literal with its escapes.
pub(super) fn unquote(literal: &[u8]) -> Option<Vec<u8>> {
    let quote = *literal.first().filter(|byte| matches!(byte, b'\'' | b'"'))?;
    let inside = literal.get(1..literal.len().checked_sub(1)?)?;
    if literal.last() != Some(&quote) {
        return None;
    }
    let mut out = Vec::with_capacity(inside.len());
    let mut rest = inside.iter().copied();
    while let Some(byte) = rest.next() {
        if byte != b'\\' {
            out.push(byte);
            continue;
        }
        match rest.next()? {
            b'n' => out.push(b'\n'),
            b'r' => out.push(b'\r'),
            b't' => out.push(b'\t'),
            b'a' => out.push(7),
            b'b' => out.push(8),
            b'f' => out.push(12),
            b'v' => out.push(11),
            b'x' => {
                let digits = [rest.next()?, rest.next()?];
                out.push(u8::try_from(hex(&digits)?).ok()?);
            }
            first @ b'0'..=b'7' => {
                let mut code = u32::from(first - b'0');
                for _ in 0..2 {
                    match rest.clone().next() {
                        Some(digit @ b'0'..=b'7') => {
                            code = code * 8 + u32::from(digit - b'0');
                            rest.next();
                        }
                        _ => break,
                    }
                }
                out.push((code & 0xff) as u8);
            }
            other => out.push(other),
        }
    }
    Some(out)
}

/// Text in the `raw-unicode-escape` codec: Latin-1 with `\uXXXX` and `\UXXXXXXXX`.
pub(super) fn raw_unicode(line: &[u8]) -> Option<String> {
    let mut out = String::with_capacity(line.len());
    let mut rest = line;
    while let Some((&byte, tail)) = rest.split_first() {
        let digits = match (byte, tail.first()) {
            (b'\\', Some(b'u')) => 4,
            (b'\\', Some(b'U')) => 8,
            _ => {
                out.push(char::from(byte));
                rest = tail;
                continue;
            }
        };
        // A lone surrogate cannot be a char; Python would keep it, a name does not need it.
        out.push(char::from_u32(hex(tail.get(1..=digits)?)?).unwrap_or(char::REPLACEMENT_CHARACTER));
        rest = tail.get(1 + digits..)?;
    }
    Some(out)
}

fn hex(digits: &[u8]) -> Option<u32> {
    digits.iter().try_fold(0u32, |n, &digit| Some(n << 4 | char::from(digit).to_digit(16)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes() {
        assert_eq!(unquote(br"'a\n\x41\101\\\'\0'").unwrap(), b"a\nAA\\'\0");
        assert_eq!(unquote(b"\"\"").unwrap(), b"");
        assert!(unquote(b"'").is_none() && unquote(b"'a").is_none() && unquote(b"").is_none());
        assert!(unquote(br"'\x4'").is_none());
        assert_eq!(raw_unicode(b"\\u00e9\xe9\\U0001F600").unwrap(), "\u{e9}\u{e9}\u{1F600}");
        assert!(raw_unicode(b"\\u12").is_none());
    }
}

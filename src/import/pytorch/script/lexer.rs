//! Text to words, with the indentation that Python's blocks are told by.

use std::rc::Rc;

/// One word of the source.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Token {
    Name(Rc<str>),
    Int(i64),
    Float(f64),
    Text(Rc<str>),
    Sign(&'static str),
    Newline,
    Indent,
    Dedent,
    End,
}

/// A token with its line, from 1.
pub(super) type Placed = (Token, usize);

/// Longest first, so that `**` is not two `*`.
const SIGNS: [&str; 39] = [
    "**=", "//=", "...", "->", "==", "!=", "<=", ">=", "**", "//", "+=", "-=", "*=", "/=", "<<", ">>", ":=", "(", ")",
    "[", "]", "{", "}", ",", ":", ".", ";", "=", "+", "-", "*", "/", "%", "<", ">", "@", "&", "|", "~",
];

/// Splits source text; the error is the line and what is wrong there.
pub(super) fn tokens(source: &str) -> Result<Vec<Placed>, (usize, String)> {
    let mut lexer = Lexer { rest: source, line: 1, depth: 0, indents: vec![0], found: Vec::new() };
    lexer.run()?;
    Ok(lexer.found)
}

struct Lexer<'a> {
    rest: &'a str,
    line: usize,
    /// Open brackets: lines do not end inside of them.
    depth: usize,
    indents: Vec<usize>,
    found: Vec<Placed>,
}

impl Lexer<'_> {
    fn push(&mut self, token: Token) {
        self.found.push((token, self.line));
    }

    fn skip(&mut self, bytes: usize) {
        self.rest = self.rest.get(bytes..).unwrap_or_default();
    }

    fn run(&mut self) -> Result<(), (usize, String)> {
        self.indentation()?;
        while let Some(next) = self.rest.chars().next() {
            match next {
                '\n' => {
                    self.skip(1);
                    if self.depth == 0 {
                        if !matches!(
                            self.found.last(),
                            None | Some((Token::Newline | Token::Indent | Token::Dedent, _))
                        ) {
                            self.push(Token::Newline);
                        }
                        self.line += 1;
                        self.indentation()?;
                    } else {
                        self.line += 1;
                    }
                }
                '\\' if self.rest.starts_with("\\\n") => {
                    self.skip(2);
                    self.line += 1;
                }
                '#' => {
                    let length = self.rest.find('\n').unwrap_or(self.rest.len());
                    self.skip(length);
                }
                c if c.is_whitespace() => self.skip(c.len_utf8()),
                '"' | '\'' => self.text()?,
                c if c.is_ascii_digit() => self.number()?,
                '.' if self.rest.as_bytes().get(1).is_some_and(u8::is_ascii_digit) => self.number()?,
                c if c.is_alphabetic() || c == '_' => {
                    let length = self.rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(self.rest.len());
                    let name = self.rest.get(..length).unwrap_or_default();
                    self.push(Token::Name(name.into()));
                    self.skip(length);
                }
                other => {
                    let sign = SIGNS.iter().find(|sign| self.rest.starts_with(**sign));
                    let sign = *sign.ok_or_else(|| (self.line, format!("the character {other:?}")))?;
                    match sign {
                        "(" | "[" | "{" => self.depth += 1,
                        ")" | "]" | "}" => self.depth = self.depth.saturating_sub(1),
                        _ => {}
                    }
                    self.push(Token::Sign(sign));
                    self.skip(sign.len());
                }
            }
        }
        self.push(Token::Newline);
        for _ in 1..self.indents.len() {
            self.push(Token::Dedent);
        }
        self.push(Token::End);
        Ok(())
    }

    /// At the start of a line: blank and comment lines are passed over, a change of depth is noted.
    fn indentation(&mut self) -> Result<(), (usize, String)> {
        loop {
            let width = self.rest.len() - self.rest.trim_start_matches([' ', '\t']).len();
            match self.rest.as_bytes().get(width) {
                None => return Ok(()),
                Some(b'\n') => {
                    self.skip(width + 1);
                    self.line += 1;
                }
                Some(b'\r') if self.rest.as_bytes().get(width + 1) == Some(&b'\n') => {
                    self.skip(width + 2);
                    self.line += 1;
                }
                Some(b'#') => {
                    let length = self.rest.find('\n').unwrap_or(self.rest.len());
                    self.skip(length);
                }
                Some(_) => {
                    self.skip(width);
                    if width > self.indents.last().copied().unwrap_or(0) {
                        self.indents.push(width);
                        self.push(Token::Indent);
                    }
                    while width < self.indents.last().copied().unwrap_or(0) {
                        self.indents.pop();
                        self.push(Token::Dedent);
                    }
                    return match self.indents.last() {
                        Some(&depth) if depth == width => Ok(()),
                        _ => Err((self.line, "a line that is indented unlike those above it".to_owned())),
                    };
                }
            }
        }
    }

    fn number(&mut self) -> Result<(), (usize, String)> {
        let bytes = self.rest.as_bytes();
        let mut length = 0;
        let mut float = false;
        while let Some(&byte) = bytes.get(length) {
            match byte {
                b'0'..=b'9' | b'_' => {}
                b'.' => float = true,
                b'e' | b'E' => {
                    float = true;
                    if matches!(bytes.get(length + 1), Some(b'+' | b'-')) {
                        length += 1;
                    }
                }
                _ => break,
            }
            length += 1;
        }
        let digits = self.rest.get(..length).unwrap_or_default().replace('_', "");
        let wrong = || (self.line, format!("the number {digits}"));
        let token = if float {
            Token::Float(digits.parse().map_err(|_| wrong())?)
        } else {
            Token::Int(digits.parse().map_err(|_| wrong())?)
        };
        self.push(token);
        self.skip(length);
        Ok(())
    }

    fn text(&mut self) -> Result<(), (usize, String)> {
        let quote = self.rest.chars().next().unwrap_or('"');
        let triple: String = std::iter::repeat_n(quote, 3).collect();
        let (end, start) = if self.rest.starts_with(&triple) { (triple, 3) } else { (quote.to_string(), 1) };
        let first_line = self.line;
        self.skip(start);
        let mut out = String::new();
        loop {
            if self.rest.starts_with(&end) {
                self.skip(end.len());
                break;
            }
            let mut chars = self.rest.chars();
            match chars.next() {
                None => return Err((first_line, "a string without its end".to_owned())),
                Some('\\') => {
                    let escaped = chars.next().unwrap_or('\\');
                    self.skip(1 + escaped.len_utf8());
                    match escaped {
                        'n' => out.push('\n'),
                        't' => out.push('\t'),
                        'r' => out.push('\r'),
                        '\n' => {}
                        'x' => {
                            let code = self.rest.get(..2).and_then(|digits| u8::from_str_radix(digits, 16).ok());
                            out.push(code.map_or('?', char::from));
                            self.skip(2);
                        }
                        '0'..='7' => {
                            // TorchScript writes bytes beyond ASCII as three octal digits.
                            let digits: String = std::iter::once(escaped)
                                .chain(self.rest.chars().take(2).take_while(|c| c.is_digit(8)))
                                .collect();
                            self.skip(digits.len() - 1);
                            let code = u32::from_str_radix(&digits, 8).unwrap_or(0);
                            out.push(char::from_u32(code).unwrap_or('?'));
                        }
                        other => out.push(other),
                    }
                }
                Some(c) => {
                    if c == '\n' {
                        self.line += 1;
                    }
                    out.push(c);
                    self.skip(c.len_utf8());
                }
            }
        }
        self.push(Token::Text(out.into()));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_and_literals() {
        let found = tokens("def f(x,\n  y):\n  a = 1.5e-05\n\n  # no\n  return 'a\\'b'\nb = -2\n").unwrap();
        let words: Vec<Token> = found.into_iter().map(|(token, _)| token).collect();
        assert!(words.contains(&Token::Float(1.5e-5)));
        assert!(words.contains(&Token::Text("a'b".into())));
        assert_eq!(words.iter().filter(|word| **word == Token::Indent).count(), 1);
        assert_eq!(words.iter().filter(|word| **word == Token::Dedent).count(), 1);
        assert_eq!(words.last(), Some(&Token::End));
    }

    #[test]
    fn broken_text_has_its_line() {
        assert_eq!(tokens("a = 1\nb = 'x").unwrap_err().0, 2);
        assert_eq!(tokens("if x:\n    a\n  b").unwrap_err().0, 3);
        assert!(tokens("a = 99999999999999999999").is_err());
        assert!(tokens("").unwrap().len() == 2);
    }
}

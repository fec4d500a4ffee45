//! Expressions, by the precedence of their operators.

use super::{Link, Parsed, Parser, Token};
use crate::import::pytorch::script::ast::Expr;
use std::rc::Rc;

/// Positional and named arguments of a call.
type Arguments = (Vec<Expr>, Vec<(Rc<str>, Expr)>);

impl Parser {
    /// An expression, or several with commas: a tuple.
    pub(super) fn expression_list(&mut self) -> Parsed<Expr> {
        let first = self.expression()?;
        if !self.is_sign(",") {
            return Ok(first);
        }
        let mut items = vec![first];
        while self.take_sign(",") {
            let ends = matches!(self.peek(), Token::Newline | Token::End)
                || ["=", ")", "]", ":", ";"].iter().any(|sign| self.is_sign(sign));
            if ends {
                break;
            }
            items.push(self.expression()?);
        }
        Ok(Expr::Tuple(items))
    }

    pub(super) fn expression(&mut self) -> Parsed<Expr> {
        self.deeper(|parser| {
            let then = parser.or()?;
            if !parser.take_word("if") {
                return Ok(then);
            }
            let condition = parser.or()?;
            if !parser.take_word("else") {
                return parser.wrong("'else'");
            }
            let otherwise = parser.expression()?;
            Ok(Expr::Choice(Box::new((condition, then, otherwise))))
        })
    }

    fn or(&mut self) -> Parsed<Expr> {
        self.chain(Self::and, |parser, left| {
            Ok(match parser.take_word("or") {
                true => Link::Added(Expr::Or(Box::new(left), Box::new(parser.and()?))),
                false => Link::End(left),
            })
        })
    }

    fn and(&mut self) -> Parsed<Expr> {
        self.chain(Self::not, |parser, left| {
            Ok(match parser.take_word("and") {
                true => Link::Added(Expr::And(Box::new(left), Box::new(parser.not()?))),
                false => Link::End(left),
            })
        })
    }

    fn not(&mut self) -> Parsed<Expr> {
        if self.take_word("not") {
            return Ok(Expr::Operator("not_", vec![self.deeper(Self::not)?]));
        }
        self.comparison()
    }

    fn comparison(&mut self) -> Parsed<Expr> {
        const SIGNS: [(&str, &str); 6] =
            [("==", "eq"), ("!=", "ne"), ("<=", "le"), (">=", "ge"), ("<", "lt"), (">", "gt")];
        let left = self.sum()?;
        if let Some((_, name)) = SIGNS.iter().find(|(sign, _)| self.is_sign(sign)) {
            self.advance();
            return Ok(Expr::Operator(name, vec![left, self.sum()?]));
        }
        if self.take_word("is") {
            let name = if self.take_word("not") { "is_not" } else { "is_" };
            return Ok(Expr::Operator(name, vec![left, self.sum()?]));
        }
        if self.is_word("in") {
            // `for x in y` ends its target before it gets here.
            self.advance();
            return Ok(Expr::Operator("in_", vec![left, self.sum()?]));
        }
        Ok(left)
    }

    fn sum(&mut self) -> Parsed<Expr> {
        const SIGNS: [(&str, &str); 4] = [("+", "add"), ("-", "sub"), ("&", "and_"), ("|", "or_")];
        self.operators(&SIGNS, Self::product)
    }

    /// Operands between signs of one precedence, from left to right.
    fn operators(
        &mut self,
        signs: &[(&str, &'static str)],
        operand: impl Fn(&mut Self) -> Parsed<Expr>,
    ) -> Parsed<Expr> {
        self.chain(&operand, |parser, left| {
            let Some((_, name)) = signs.iter().find(|(sign, _)| parser.is_sign(sign)) else {
                return Ok(Link::End(left));
            };
            parser.advance();
            Ok(Link::Added(Expr::Operator(name, vec![left, operand(parser)?])))
        })
    }

    fn product(&mut self) -> Parsed<Expr> {
        const SIGNS: [(&str, &str); 5] =
            [("*", "mul"), ("//", "floordiv"), ("/", "truediv"), ("%", "mod"), ("@", "matmul")];
        self.operators(&SIGNS, Self::unary)
    }

    fn unary(&mut self) -> Parsed<Expr> {
        if self.take_sign("-") {
            return Ok(match self.deeper(Self::unary)? {
                Expr::Int(value) => Expr::Int(value.wrapping_neg()),
                Expr::Float(value) => Expr::Float(-value),
                other => Expr::Operator("neg", vec![other]),
            });
        }
        if self.take_sign("+") {
            return self.deeper(Self::unary);
        }
        let base = self.postfix()?;
        if self.take_sign("**") {
            return Ok(Expr::Operator("pow", vec![base, self.deeper(Self::unary)?]));
        }
        Ok(base)
    }

    pub(super) fn postfix(&mut self) -> Parsed<Expr> {
        self.chain(Self::atom, |parser, value| {
            Ok(Link::Added(if parser.take_sign(".") {
                // fx writes `getattr` for names that are no identifiers; TorchScript may write a number.
                let name = match parser.peek().clone() {
                    Token::Int(number) => {
                        parser.advance();
                        number.to_string().into()
                    }
                    _ => parser.name()?,
                };
                Expr::Attribute(Box::new(value), name)
            } else if parser.take_sign("(") {
                let (positional, named) = parser.arguments()?;
                Expr::Call(Box::new(value), positional, named)
            } else if parser.take_sign("[") {
                let index = parser.index()?;
                parser.sign("]")?;
                Expr::Index(Box::new(value), Box::new(index))
            } else {
                return Ok(Link::End(value));
            }))
        })
    }

    fn arguments(&mut self) -> Parsed<Arguments> {
        let (mut positional, mut named) = (Vec::new(), Vec::new());
        while !self.take_sign(")") {
            let value = self.expression()?;
            match value {
                Expr::Name(name) if self.take_sign("=") => named.push((name, self.expression()?)),
                value => positional.push(value),
            }
            if !self.take_sign(",") {
                self.sign(")")?;
                break;
            }
        }
        Ok((positional, named))
    }

    fn index(&mut self) -> Parsed<Expr> {
        let first = self.index_part()?;
        if !self.is_sign(",") {
            return Ok(first);
        }
        let mut parts = vec![first];
        while self.take_sign(",") {
            if self.is_sign("]") {
                break;
            }
            parts.push(self.index_part()?);
        }
        Ok(Expr::Tuple(parts))
    }

    fn index_part(&mut self) -> Parsed<Expr> {
        let ends = |parser: &Self| [":", "]", ","].iter().any(|sign| parser.is_sign(sign));
        let part = |parser: &mut Self| -> Parsed<Option<Box<Expr>>> {
            if ends(parser) { Ok(None) } else { Ok(Some(Box::new(parser.expression()?))) }
        };
        let start = part(self)?;
        if !self.take_sign(":") {
            return match start {
                Some(index) => Ok(*index),
                None => self.wrong("an index"),
            };
        }
        let end = part(self)?;
        let step = if self.take_sign(":") { part(self)? } else { None };
        Ok(Expr::Slice(start, end, step))
    }

    fn atom(&mut self) -> Parsed<Expr> {
        let token = self.peek().clone();
        match token {
            Token::Name(name) => {
                self.advance();
                Ok(match name.as_ref() {
                    "None" => Expr::None,
                    "True" => Expr::Bool(true),
                    "False" => Expr::Bool(false),
                    "inf" => Expr::Float(f64::INFINITY),
                    "nan" => Expr::Float(f64::NAN),
                    _ => Expr::Name(name),
                })
            }
            Token::Int(value) => {
                self.advance();
                Ok(Expr::Int(value))
            }
            Token::Float(value) => {
                self.advance();
                Ok(Expr::Float(value))
            }
            Token::Text(text) => {
                self.advance();
                let mut text = text.to_string();
                // Strings beside each other are one.
                while let Token::Text(more) = self.peek().clone() {
                    self.advance();
                    text.push_str(&more);
                }
                Ok(Expr::Text(text.into()))
            }
            Token::Sign("...") => {
                self.advance();
                Ok(Expr::Name("...".into()))
            }
            Token::Sign("*") => {
                self.advance();
                let inner = self.deeper(Self::postfix)?;
                Ok(Expr::Operator("unpack", vec![inner]))
            }
            Token::Sign("(") => {
                self.advance();
                if self.take_sign(")") {
                    return Ok(Expr::Tuple(Vec::new()));
                }
                let inner = self.deeper(Self::expression_list)?;
                self.sign(")")?;
                Ok(inner)
            }
            Token::Sign("[") => {
                self.advance();
                let mut items = Vec::new();
                while !self.take_sign("]") {
                    items.push(self.expression()?);
                    if !self.take_sign(",") {
                        self.sign("]")?;
                        break;
                    }
                }
                Ok(Expr::List(items))
            }
            Token::Sign("{") => {
                self.advance();
                let mut pairs = Vec::new();
                while !self.take_sign("}") {
                    let key = self.expression()?;
                    self.sign(":")?;
                    pairs.push((key, self.expression()?));
                    if !self.take_sign(",") {
                        self.sign("}")?;
                        break;
                    }
                }
                Ok(Expr::Dict(pairs))
            }
            _ => self.wrong("a value"),
        }
    }
}

//! What the code of a model is made of: the part of Python that TorchScript and fx write.

use std::rc::Rc;

/// An expression.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::import::pytorch) enum Expr {
    None,
    Bool(bool),
    Int(i64),
    Float(f64),
    Text(Rc<str>),
    Name(Rc<str>),
    Tuple(Vec<Expr>),
    List(Vec<Expr>),
    Dict(Vec<(Expr, Expr)>),
    Attribute(Box<Expr>, Rc<str>),
    Index(Box<Expr>, Box<Expr>),
    /// `start:end:step` inside of an index.
    Slice(Option<Box<Expr>>, Option<Box<Expr>>, Option<Box<Expr>>),
    Call(Box<Expr>, Vec<Expr>, Vec<(Rc<str>, Expr)>),
    /// An operator by the name of its function in `operator`: `add`, `not_`, `is_`.
    Operator(&'static str, Vec<Expr>),
    And(Box<Expr>, Box<Expr>),
    Or(Box<Expr>, Box<Expr>),
    /// `then if condition else otherwise`: condition, then, otherwise.
    Choice(Box<(Expr, Expr, Expr)>),
}

/// A statement.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::import::pytorch) enum Statement {
    /// `targets = value`; each target is a name, an attribute, an index or a tuple of them.
    Assign(Vec<Expr>, Expr),
    Expression(Expr),
    If(Expr, Vec<Statement>, Vec<Statement>),
    While(Expr, Vec<Statement>),
    For(Expr, Expr, Vec<Statement>),
    Return(Expr),
    Assert(Expr),
    Raise,
    Break,
    Continue,
}

/// A function or method.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::import::pytorch) struct Function {
    pub name: Rc<str>,
    /// Names with default values.
    pub parameters: Vec<(Rc<str>, Option<Expr>)>,
    pub body: Vec<Statement>,
}

/// The functions of a file, and of the classes in it.
#[derive(Clone, Debug, Default, PartialEq)]
pub(in crate::import::pytorch) struct Source {
    pub functions: Vec<Rc<Function>>,
    /// Name and methods.
    pub classes: Vec<(Rc<str>, Vec<Rc<Function>>)>,
}

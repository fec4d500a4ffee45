//! A table as CSV or JSON.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Number, Value};
use thiserror::Error;

/// One cell.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Cell {
    /// No value: an empty field in CSV, null in JSON.
    Empty,
    /// Text.
    Text(String),
    /// An integer.
    Integer(i64),
    /// A number, written with the fewest digits that read back as the same f64; one that is not finite is the text
    /// `NaN`, `inf` or `-inf` in CSV and null in JSON.
    Number(f64),
    /// A truth value.
    Bool(bool),
}

impl From<&str> for Cell {
    fn from(text: &str) -> Self {
        Cell::Text(text.to_owned())
    }
}

impl From<String> for Cell {
    fn from(text: String) -> Self {
        Cell::Text(text)
    }
}

impl From<i64> for Cell {
    fn from(value: i64) -> Self {
        Cell::Integer(value)
    }
}

impl From<usize> for Cell {
    fn from(value: usize) -> Self {
        i64::try_from(value).map_or(Cell::Number(value as f64), Cell::Integer)
    }
}

impl From<f64> for Cell {
    fn from(value: f64) -> Self {
        Cell::Number(value)
    }
}

impl From<bool> for Cell {
    fn from(value: bool) -> Self {
        Cell::Bool(value)
    }
}

impl<T: Into<Cell>> From<Option<T>> for Cell {
    fn from(value: Option<T>) -> Self {
        value.map_or(Cell::Empty, Into::into)
    }
}

/// Why a table cannot be written.
#[derive(Debug, Error)]
pub enum TableError {
    /// A row is longer or shorter than the headers.
    #[error("row {row} has {found} cells under {expected} headers")]
    Width {
        /// Index of the row.
        row: usize,
        /// Cells it has.
        found: usize,
        /// Headers there are.
        expected: usize,
    },
    /// Two columns have one header, so that the objects of the JSON form would lose one.
    #[error("two columns are called '{0}'")]
    DuplicateHeader(String),
    /// The writer failed.
    #[error("the table cannot be written: {0}")]
    Write(String),
}

/// Headers, and rows of as many cells. Units stand in the headers.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Table {
    headers: Vec<String>,
    rows: Vec<Vec<Cell>>,
}

impl Table {
    /// A checked table: every row as wide as the headers, no header twice.
    pub fn new(headers: Vec<String>, rows: Vec<Vec<Cell>>) -> Result<Self, TableError> {
        for (index, header) in headers.iter().enumerate() {
            if headers.iter().take(index).any(|other| other == header) {
                return Err(TableError::DuplicateHeader(header.clone()));
            }
        }
        let expected = headers.len();
        if let Some((row, cells)) = rows.iter().enumerate().find(|(_, cells)| cells.len() != expected) {
            return Err(TableError::Width { row, found: cells.len(), expected });
        }
        Ok(Table { headers, rows })
    }

    /// The headers.
    pub fn headers(&self) -> &[String] {
        &self.headers
    }

    /// The rows.
    pub fn rows(&self) -> &[Vec<Cell>] {
        &self.rows
    }

    /// CSV after RFC 4180, but with `\n` at the end of lines: a header line, then a line per row, quoted where needed.
    pub fn to_csv(&self) -> Result<String, TableError> {
        let failed = |error: &dyn std::fmt::Display| TableError::Write(error.to_string());
        let mut writer = csv::Writer::from_writer(Vec::new());
        writer.write_record(&self.headers).map_err(|error| failed(&error))?;
        for row in &self.rows {
            writer.write_record(row.iter().map(csv_field)).map_err(|error| failed(&error))?;
        }
        let bytes = writer.into_inner().map_err(|error| failed(&error))?;
        String::from_utf8(bytes).map_err(|error| failed(&error))
    }

    /// A JSON array of an object per row, the headers as keys in their order.
    pub fn to_json(&self) -> Result<String, TableError> {
        let object = |row: &Vec<Cell>| self.headers.iter().cloned().zip(row.iter().map(json_value)).collect();
        let rows: Vec<Map<String, Value>> = self.rows.iter().map(object).collect();
        serde_json::to_string_pretty(&rows).map_err(|error| TableError::Write(error.to_string()))
    }
}

fn csv_field(cell: &Cell) -> String {
    match cell {
        Cell::Empty => String::new(),
        Cell::Text(text) => text.clone(),
        Cell::Integer(value) => value.to_string(),
        // Debug, unlike Display, writes 1e300 with an exponent and not as 301 digits.
        Cell::Number(value) if value.is_finite() => format!("{value:?}"),
        Cell::Number(value) => value.to_string(),
        Cell::Bool(value) => value.to_string(),
    }
}

fn json_value(cell: &Cell) -> Value {
    match cell {
        Cell::Empty => Value::Null,
        Cell::Text(text) => Value::from(text.as_str()),
        Cell::Integer(value) => Value::from(*value),
        Cell::Number(value) => Number::from_f64(*value).map_or(Value::Null, Value::Number),
        Cell::Bool(value) => Value::from(*value),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table() -> Table {
        let headers = ["tensor", "sqnr_db", "count"].map(str::to_owned).to_vec();
        let first = vec![Cell::from("a \"b\", c"), Cell::from(42.5), Cell::from(3usize)];
        Table::new(headers, vec![first, vec!["d".into(), None::<f64>.into(), Cell::Number(f64::NAN)]]).unwrap()
    }

    #[test]
    fn csv_is_quoted_where_needed() {
        assert_eq!(table().to_csv().unwrap(), "tensor,sqnr_db,count\n\"a \"\"b\"\", c\",42.5,3\nd,,NaN\n");
    }

    #[test]
    fn json_keeps_the_order_of_the_headers() {
        let json = table().to_json().unwrap();
        let compact: String = json.split_whitespace().collect();
        let expected = r#"[{"tensor":"a\"b\",c","sqnr_db":42.5,"count":3},{"tensor":"d","sqnr_db":null,"count":null}]"#;
        assert_eq!(compact, expected);
    }

    #[test]
    fn numbers_read_back() {
        for value in [0.1, 1e300, -5e-324, 1.0 / 3.0] {
            let table = Table::new(vec!["x".to_owned()], vec![vec![value.into()]]).unwrap();
            let text = table.to_csv().unwrap();
            assert_eq!(text.lines().nth(1).unwrap().parse::<f64>().unwrap(), value);
        }
    }

    #[test]
    fn shapes_are_checked() {
        let ragged = Table::new(vec!["a".to_owned()], vec![vec![]]);
        assert!(matches!(ragged, Err(TableError::Width { row: 0, found: 0, expected: 1 })));
        let twice = Table::new(vec!["a".to_owned(), "a".to_owned()], vec![]);
        assert!(matches!(twice, Err(TableError::DuplicateHeader(_))));
        assert_eq!(Table::new(vec!["a".to_owned()], vec![]).unwrap().to_json().unwrap(), "[]");
    }
}

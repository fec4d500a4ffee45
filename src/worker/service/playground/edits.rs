//! Changing the table: edits, undo, redo, reset, edit lists.

use super::super::model::OpenModel;
use super::super::{Failure, Job, Service};
use super::compare::picture;
use super::history::{Gesture, words};
use super::reaches::reached;
use super::session::{Session, differ, table_problem};
use crate::engine::EngineError;
use crate::problem::Problem;
use crate::quant::table::{Edit, EditList, GridError, Row, TableError, apply};
use crate::worker::protocol::{BeforeAfter, Edited, TensorQuery};

/// What changing the edited table did.
#[derive(Default)]
struct Done {
    /// Rows that changed.
    rows: Vec<String>,
    /// Values that changed.
    values: Vec<String>,
    nodes: usize,
}

impl Service {
    /// Changes a row. What is refused leaves everything as it was.
    pub(super) fn edit(
        &self,
        session: &mut Session,
        model: &OpenModel,
        edit: Edit,
        gesture: Option<u32>,
        show: Option<TensorQuery>,
        job: &impl Job,
    ) -> Result<Edited, Failure> {
        let began_ms = job.now_ms();
        // A model that cannot run has a table all the same.
        let _ = session.runs(self, model);
        let name = words(&edit, &session.edited);
        let gesture = gesture.map(|number| Gesture::of(number, &edit.change));
        // Every step of a drag starts from where the drag began: the way there leaves no trace.
        let began = session.timeline.began(gesture).to_vec();
        let done = match session.edit_rows(std::slice::from_ref(&edit), &began) {
            Ok((before, after)) => session.take_over(before, after, Some((name, gesture)), model)?,
            Err(refused) => Err(refused),
        };
        self.edited(session, model, done, show, began_ms, job)
    }

    /// Several edits as one entry of the history.
    pub(super) fn edit_all(
        &self,
        session: &mut Session,
        model: &OpenModel,
        edits: &[Edit],
        name: String,
        job: &impl Job,
    ) -> Result<Edited, Failure> {
        let began_ms = job.now_ms();
        let done = match session.edit_rows(edits, &[]) {
            Ok((before, after)) => session.take_over(before, after, Some((name, None)), model)?,
            Err(refused) => Err(refused),
        };
        self.edited(session, model, done, None, began_ms, job)
    }

    /// Takes the last entry back.
    pub(super) fn undo(
        &self,
        session: &mut Session,
        model: &OpenModel,
        show: Option<TensorQuery>,
        job: &impl Job,
    ) -> Result<Edited, Failure> {
        let began_ms = job.now_ms();
        let _ = session.runs(self, model);
        let rows = session.timeline.undo().unwrap_or_default();
        let done = session.put_rows(rows, model)?;
        self.edited(session, model, Ok(done), show, began_ms, job)
    }

    /// Takes the last entry back and forgets it.
    pub(super) fn take_back(
        &self,
        session: &mut Session,
        model: &OpenModel,
        job: &impl Job,
    ) -> Result<Edited, Failure> {
        let edited = self.undo(session, model, None, job)?;
        session.timeline.forget();
        Ok(Edited { history: session.history(self), ..edited })
    }

    /// Does the next entry again.
    pub(super) fn redo(
        &self,
        session: &mut Session,
        model: &OpenModel,
        show: Option<TensorQuery>,
        job: &impl Job,
    ) -> Result<Edited, Failure> {
        let began_ms = job.now_ms();
        let _ = session.runs(self, model);
        let rows = session.timeline.redo().unwrap_or_default();
        let done = session.put_rows(rows, model)?;
        self.edited(session, model, Ok(done), show, began_ms, job)
    }

    /// All rows as the file has them: an entry of the history like any other.
    pub(super) fn reset(
        &self,
        session: &mut Session,
        model: &OpenModel,
        show: Option<TensorQuery>,
        job: &impl Job,
    ) -> Result<Edited, Failure> {
        let began_ms = job.now_ms();
        let _ = session.runs(self, model);
        let before: Vec<Row> = session.dirty_rows().into_iter().cloned().collect();
        let after: Vec<Row> = before.iter().filter_map(|row| session.original.row(&row.tensor).cloned()).collect();
        let done = match before.is_empty() {
            true => Ok(Done::default()),
            false => session.take_over(before, after, Some(("All as in the file".to_owned(), None)), model)?,
        };
        self.edited(session, model, done, show, began_ms, job)
    }

    /// Applies a shared or stored list: the table is then as the list says, whatever was edited before.
    pub(super) fn apply_edits(
        &self,
        session: &mut Session,
        model: &OpenModel,
        json: &str,
        job: &impl Job,
    ) -> Result<Edited, Failure> {
        let began_ms = job.now_ms();
        let _ = session.runs(self, model);
        let rows = session.listed_rows(json, model)?;
        let changed: Vec<Row> = rows
            .into_iter()
            .filter(|row| session.edited.row(&row.tensor).is_some_and(|old| differ(old, row)))
            .collect();
        let before: Vec<Row> = changed.iter().filter_map(|row| session.edited.row(&row.tensor).cloned()).collect();
        let name = format!("Edit list: {} rows", changed.len());
        let done = match changed.is_empty() {
            true => Ok(Done::default()),
            false => session.take_over(before, changed, Some((name, None)), model)?,
        };
        self.edited(session, model, done, None, began_ms, job)
    }

    /// The answer to every change.
    fn edited(
        &self,
        session: &mut Session,
        model: &OpenModel,
        done: Result<Done, GridError>,
        show: Option<TensorQuery>,
        began_ms: f64,
        job: &impl Job,
    ) -> Result<Edited, Failure> {
        let (done, refused) = match done {
            Ok(done) => (done, None),
            Err(refused) => (Done::default(), Some(refused)),
        };
        let versions = self.outcomes(session, model);
        let shown: Option<BeforeAfter> = match (show, &session.runs) {
            (Some(query), Some(_)) => Some(picture(session, query, versions.clone())?),
            _ => None,
        };
        let table = &session.edited;
        let changed = |row: &&Row| done.values.contains(&row.tensor) || done.rows.contains(&row.tensor);
        Ok(Edited {
            model: session.model,
            rows: done.rows.iter().filter_map(|tensor| Some(session.row_state(table.row(tensor)?))).collect(),
            changed: table.rows.iter().filter(changed).map(|row| row.tensor.clone()).collect(),
            history: session.history(self),
            refused,
            versions,
            shown,
            nodes: done.nodes,
            worker_ms: job.now_ms() - began_ms,
        })
    }
}

impl Session {
    /// Rows before and after some edits, in the order in which they change; the session stays as it is. The rows of
    /// `began` are as there before the edits.
    fn edit_rows(&self, edits: &[Edit], began: &[Row]) -> Result<(Vec<Row>, Vec<Row>), GridError> {
        let mut table = self.edited.clone();
        let mut touched: Vec<String> = Vec::new();
        for row in began {
            if let Some(slot) = table.row_mut(&row.tensor) {
                *slot = row.clone();
                touched.push(row.tensor.clone());
            }
        }
        let ranges = |tensor: &str| reached(self.runs.as_ref()?, self.edited.row(tensor)?);
        for edit in edits {
            for tensor in apply(&mut table, &self.original, edit, Some(&ranges))? {
                if !touched.contains(&tensor) {
                    touched.push(tensor);
                }
            }
        }
        let pairs = touched.iter().filter_map(|tensor| Some((self.edited.row(tensor)?, table.row(tensor)?)));
        Ok(pairs.filter(|(old, new)| differ(old, new)).map(|(old, new)| (old.clone(), new.clone())).unzip())
    }

    /// Makes changed rows the table's, and an entry of the history. The inner error is a row that the engine refuses;
    /// then everything is as before.
    fn take_over(
        &mut self,
        before: Vec<Row>,
        after: Vec<Row>,
        entry: Option<(String, Option<Gesture>)>,
        model: &OpenModel,
    ) -> Result<Result<Done, GridError>, Failure> {
        if after.is_empty() {
            return Ok(Ok(Done::default()));
        }
        match self.run_rows(&after, model) {
            Ok(done) => {
                if let Some((name, gesture)) = entry {
                    self.timeline.push(name, gesture, before, after);
                }
                Ok(Ok(done))
            }
            Err(EngineError::Params { message, .. }) => {
                self.run_rows(&before, model).map_err(|error| error.problem(&model.summary.file))?;
                Ok(Err(GridError::Row(message)))
            }
            Err(error) => {
                self.run_rows(&before, model).map_err(|error| error.problem(&model.summary.file))?;
                Err(error.problem(&model.summary.file).into())
            }
        }
    }

    fn put_rows(&mut self, rows: Vec<Row>, model: &OpenModel) -> Result<Done, Problem> {
        self.run_rows(&rows, model).map_err(|error| error.problem(&model.summary.file))
    }

    /// Replaces rows and computes what depends on them.
    fn run_rows(&mut self, rows: &[Row], model: &OpenModel) -> Result<Done, EngineError> {
        for row in rows {
            if let Some(slot) = self.edited.row_mut(&row.tensor) {
                *slot = row.clone();
            }
        }
        let mut done = Done { rows: rows.iter().map(|row| row.tensor.clone()).collect(), ..Done::default() };
        let Some(runs) = self.runs.as_mut() else { return Ok(done) };
        let changed: Vec<&Row> = rows.iter().collect();
        (done.values, done.nodes) = runs.apply(&changed)?;
        if let Some(integer) = runs.integer.as_mut() {
            let file = &model.summary.file;
            done.nodes += integer.set_edited(&self.lifted, &self.edited, &runs.inputs).map_err(|error| {
                EngineError::Params { scale: "the table".to_owned(), message: error.problem(file).found }
            })?;
        }
        Ok(done)
    }

    /// The edits that lead from the file to here, as JSON.
    pub fn edit_list(&self, model: &OpenModel) -> String {
        let summary = &model.summary;
        EditList::between(&self.original, &self.edited, &summary.name, &summary.sha256).to_json()
    }

    /// The rows that a list of edits asks for.
    fn listed_rows(&self, json: &str, model: &OpenModel) -> Result<Vec<Row>, Problem> {
        let wrong = |error: TableError| table_problem("the edit list", &error);
        let list = EditList::from_json(json).map_err(wrong)?;
        let table = list.apply(&self.original, &model.summary.sha256).map_err(wrong)?;
        Ok(table.rows)
    }

    /// Takes a list over into a table that nothing has run with yet.
    pub fn apply_list(&mut self, json: &str, model: &OpenModel) -> Result<(), Problem> {
        for row in self.listed_rows(json, model)? {
            if let Some(slot) = self.edited.row_mut(&row.tensor) {
                *slot = row;
            }
        }
        Ok(())
    }
}

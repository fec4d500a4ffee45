//! The measured tables: sorted by any column, a row chooses its tensor, and all of it can be taken home.

use crate::export::{Table, TableError};
use crate::platform::download::{download, file_name};
use crate::ui::turns::in_turn;
use crate::ui::use_session;
use crate::worker::TextFormat;
use leptos::prelude::*;

/// Rows in the page at once; the exports have all.
const ROWS_PER_PAGE: usize = 200;

/// A cell as it is shown and sorted.
#[derive(Clone, Debug, PartialEq)]
pub enum Cell {
    /// Words.
    Text(String),
    /// A number as it is shown; nothing is sorted last either way.
    Number(Option<f64>, String),
    /// A number as it is shown, and the same before the edits.
    Changed(Option<f64>, String, String),
    /// Parts of a whole, by colour class, with the number they are sorted by.
    Parts(f64, Vec<(&'static str, f64)>),
}

impl Cell {
    /// A number, or nothing.
    pub fn number(value: Option<f64>, show: impl Fn(f64) -> String) -> Cell {
        Cell::Number(value, value.map_or_else(|| "–".to_owned(), show))
    }

    fn text(&self) -> String {
        match self {
            Cell::Text(text) | Cell::Number(_, text) | Cell::Changed(_, text, _) => text.clone(),
            Cell::Parts(..) => String::new(),
        }
    }

    /// What it was before the edits, where that differs.
    fn was(&self) -> Option<String> {
        if let Cell::Changed(_, _, was) = self { Some(format!("was {was}")) } else { None }
    }

    fn share(&self, part: usize) -> Option<f64> {
        if let Cell::Parts(_, parts) = self { parts.get(part).map(|(_, share)| *share) } else { None }
    }
}

/// A row.
#[derive(Clone, Debug, PartialEq)]
pub struct Line {
    /// The tensor that it chooses.
    pub tensor: String,
    /// Its cells.
    pub cells: Vec<Cell>,
    /// Whether the tensor differs from the file.
    pub dirty: bool,
}

/// What of a line does not change with its figures: a row is made anew only when this does.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Frame {
    tensor: String,
    head: String,
    kinds: Vec<Kind>,
}

/// How a cell is drawn.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Kind {
    Text,
    Number,
    Parts(Vec<&'static str>),
}

impl Line {
    fn frame(&self) -> Frame {
        let kind = |cell: &Cell| match cell {
            Cell::Text(_) => Kind::Text,
            Cell::Number(..) | Cell::Changed(..) => Kind::Number,
            Cell::Parts(_, parts) => Kind::Parts(parts.iter().map(|(class, _)| *class).collect()),
        };
        Frame {
            tensor: self.tensor.clone(),
            head: self.cells.first().map(Cell::text).unwrap_or_default(),
            kinds: self.cells.iter().skip(1).map(kind).collect(),
        }
    }
}

/// A column's heading.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Column {
    /// What stands there.
    pub title: &'static str,
    /// Whether its cells are numbers.
    pub numeric: bool,
    /// What it means.
    pub hint: &'static str,
}

/// A heading of words.
pub const fn words(title: &'static str) -> Column {
    Column { title, numeric: false, hint: "" }
}

/// A heading of numbers.
pub const fn figures(title: &'static str, hint: &'static str) -> Column {
    Column { title, numeric: true, hint }
}

/// The order of lines by a column.
fn sorted(lines: &[Line], by: Option<(usize, bool)>) -> Vec<usize> {
    let mut order: Vec<usize> = (0..lines.len()).collect();
    let Some((column, falling)) = by else { return order };
    let number = |line: usize| match lines[line].cells.get(column) {
        Some(Cell::Number(value, _) | Cell::Changed(value, ..)) => value.filter(|value| !value.is_nan()),
        Some(Cell::Parts(value, _)) => Some(*value),
        Some(Cell::Text(_)) | None => None,
    };
    let text = |line: usize| match lines[line].cells.get(column) {
        Some(Cell::Text(text)) => text.as_str(),
        _ => "",
    };
    order.sort_by(|&a, &b| match (number(a), number(b)) {
        (Some(x), Some(y)) if falling => y.total_cmp(&x),
        (Some(x), Some(y)) => x.total_cmp(&y),
        (Some(_), None) => std::cmp::Ordering::Less,
        (None, Some(_)) => std::cmp::Ordering::Greater,
        (None, None) if falling => text(b).cmp(text(a)),
        (None, None) => text(a).cmp(text(b)),
    });
    order
}

/// A sortable table. A row chooses its tensor.
#[component]
pub fn DataTable(
    /// Its name.
    label: &'static str,
    /// Headings.
    columns: &'static [Column],
    /// Rows in their own order.
    #[prop(into)]
    lines: Signal<Vec<Line>>,
    /// What stands there while there is no row.
    empty: &'static str,
    /// What choosing a row does with its tensor, where it is not to be edited.
    #[prop(optional, into)]
    choose: Option<Callback<String>>,
) -> impl IntoView {
    let session = use_session();
    let chosen = session.playground.tensor;
    let choose = choose.unwrap_or_else(|| Callback::new(move |tensor: String| session.edit_tensor(&tensor)));
    let by = RwSignal::new(None::<(usize, bool)>);
    let first = RwSignal::new(0);
    // Rows are drawn in a turn of their own: while a handle is dragged the picture goes first.
    let drawn: ReadSignal<Option<Vec<Line>>> = in_turn(Signal::derive(move || Some(lines.get())));
    let order = Memo::new(move |_| drawn.with(|lines| sorted(lines.as_deref().unwrap_or_default(), by.get())));
    let count = Signal::derive(move || order.with(Vec::len));
    Effect::new(move |_| {
        if first.get_untracked() >= count.get().max(1) {
            first.set(0);
        }
    });
    // Numbers fall at the first click, the worst of an error first; a third click gives the rows' own order back.
    let sort = move |column: usize, numeric: bool| {
        by.update(|by| {
            *by = match *by {
                Some((now, falling)) if now == column && falling == numeric => Some((column, !numeric)),
                Some((now, _)) if now == column => None,
                _ => Some((column, numeric)),
            };
        });
    };
    let heading = move |(place, column): (usize, &'static Column)| {
        let direction = move || match by.get() {
            Some((now, true)) if now == place => "descending",
            Some((now, false)) if now == place => "ascending",
            _ => "none",
        };
        view! {
            <th scope="col" class:num=column.numeric aria-sort=direction title=column.hint>
                <button type="button" on:click=move |_| sort(place, column.numeric)>{column.title}</button>
            </th>
        }
    };
    let shown = Memo::new(move |_| {
        let from = first.get();
        order.with(|order| {
            drawn.with(|lines| {
                let lines = lines.as_deref().unwrap_or_default();
                let places = order.iter().skip(from).take(ROWS_PER_PAGE);
                places.filter_map(|&place| Some((place, lines.get(place)?.frame()))).collect::<Vec<_>>()
            })
        })
    });
    // A row is made once and moved; when its figures change, only they are written again.
    let row = move |(place, frame): (usize, Frame)| {
        let line = Memo::new(move |_| drawn.with(|lines| lines.as_deref()?.get(place).cloned()));
        view! { <Row frame line chosen choose /> }
    };
    view! {
        <div class="scroll-x measured" tabindex="0">
            <table class="data" aria-label=label>
                <thead><tr>{columns.iter().enumerate().map(heading).collect_view()}</tr></thead>
                <tbody><For each=move || shown.get() key=Clone::clone children=row /></tbody>
            </table>
            <Show when=move || { count.get() == 0 }><p class="hint">{empty}</p></Show>
        </div>
        <Show when=move || { count.get() > ROWS_PER_PAGE }>
            <crate::ui::views::activations::Pager label="Rows" first per_page=ROWS_PER_PAGE count />
        </Show>
    }
}

/// A row with its name. Its figures follow `line`.
#[component]
fn Row(
    /// What stays of it.
    frame: Frame,
    /// What stands in it now.
    line: Memo<Option<Line>>,
    chosen: RwSignal<Option<String>>,
    choose: Callback<String>,
) -> impl IntoView {
    let Frame { tensor, head, kinds } = frame;
    let (own, target, keyed) = (tensor.clone(), tensor.clone(), tensor);
    let selected = move || chosen.with(|chosen| (chosen.as_ref() == Some(&own)).to_string());
    let dirty = Memo::new(move |_| line.with(|line| line.as_ref().is_some_and(|line| line.dirty)));
    let cells = kinds.into_iter().enumerate().map(|(place, kind)| cell(kind, line, place + 1));
    view! {
        <tr class="link" aria-selected=selected on:click=move |_| choose.run(target.clone())>
            <th scope="row"><button type="button" class="ghost cell" on:click=move |event| {
                event.stop_propagation();
                choose.run(keyed.clone());
            }><Name name=head /></button>{move || dirty.get().then(|| view! { <b class="edit" title="differs from the file">" ●"</b> })}</th>
            {cells.collect_view()}
        </tr>
    }
}

/// A name that is too long is cut at its beginning: its end tells it from the others.
#[component]
pub fn Name(
    /// The name.
    name: String,
) -> impl IntoView {
    let title = name.clone();
    view! { <span class="tail" title=title><bdi>{name}</bdi></span> }
}

/// A cell of this kind, with what stands at its place in the line.
fn cell(kind: Kind, line: Memo<Option<Line>>, place: usize) -> AnyView {
    let text = move || line.with(|line| line.as_ref()?.cells.get(place).map(Cell::text));
    let was = move || line.with(|line| line.as_ref()?.cells.get(place)?.was());
    match kind {
        Kind::Text => view! { <td>{text}</td> }.into_any(),
        Kind::Number => {
            view! { <td class="num mono">{text}{move || was().map(|was| view! { <small>{was}</small> })}</td> }
                .into_any()
        }
        Kind::Parts(classes) => {
            let part = move |(part, class): (usize, &'static str)| {
                let share = move || line.with(|line| line.as_ref()?.cells.get(place)?.share(part)).unwrap_or_default();
                view! { <u class=class style:flex=move || format!("{:.4}", share())></u> }
            };
            let bar = classes.into_iter().enumerate().map(part);
            view! { <td><div class="ledger" aria-hidden="true">{bar.collect_view()}</div></td> }.into_any()
        }
    }
}

/// CSV and JSON of a table.
#[component]
pub fn Exports(
    /// The table's name.
    title: &'static str,
    /// The beginning of the files' names.
    stem: &'static str,
    /// The whole table.
    export: Callback<(), Option<Result<Table, TableError>>>,
) -> impl IntoView {
    let session = use_session();
    let save = Callback::new(move |format: TextFormat| {
        let model = session.workspace.with_untracked(|workspace| {
            let chosen = session.playground.model.get_untracked();
            workspace.models.iter().find(|model| Some(model.id) == chosen).map(|model| model.name.clone())
        });
        let stem = super::describe::stem(stem, &model.unwrap_or_default());
        let Some(table) = untrack(|| export.run(())) else { return };
        let text = table.and_then(|table| match format {
            TextFormat::Csv => table.to_csv(),
            TextFormat::Json => table.to_json(),
        });
        let saved = text.map_err(|error| error.to_string()).and_then(|text| {
            let name = file_name(&stem, format.extension());
            download(&name, format.media_type(), text.as_bytes()).map_err(|error| error.to_string())
        });
        if let Err(error) = saved {
            session.say(title, &error, "a download", "Allow downloads for this page.");
        }
    });
    view! { <ExportButtons title save /> }
}

/// The buttons of a table that is taken home.
#[component]
pub fn ExportButtons(
    /// The table's name.
    title: &'static str,
    /// Saves it.
    save: Callback<TextFormat>,
) -> impl IntoView {
    view! {
        <span class="exports">
            <button type="button" class="small ghost" aria-label=format!("CSV of {title}") on:click=move |_| save.run(TextFormat::Csv)>"CSV"</button>
            <button type="button" class="small ghost" aria-label=format!("JSON of {title}") on:click=move |_| save.run(TextFormat::Json)>"JSON"</button>
        </span>
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines() -> Vec<Line> {
        let line = |name: &str, value: Option<f64>| Line {
            tensor: name.into(),
            cells: vec![Cell::Text(name.into()), Cell::number(value, |value| value.to_string())],
            dirty: false,
        };
        vec![line("b", Some(2.0)), line("a", None), line("c", Some(f64::INFINITY)), line("d", Some(-1.0))]
    }

    #[test]
    fn nothing_is_last_both_ways() {
        let lines = lines();
        assert_eq!(sorted(&lines, None), [0, 1, 2, 3]);
        assert_eq!(sorted(&lines, Some((1, true))), [2, 0, 3, 1]);
        assert_eq!(sorted(&lines, Some((1, false))), [3, 0, 2, 1]);
        assert_eq!(sorted(&lines, Some((0, false))), [1, 0, 2, 3]);
    }
}

//! A report before it has a form: sections of texts, tables and drawings. Nothing in it is escaped; each form does that.

/// A whole report.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Page {
    pub(crate) title: String,
    pub(crate) sections: Vec<Section>,
}

/// One heading and what is below it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Section {
    pub(crate) title: &'static str,
    pub(crate) blocks: Vec<Block>,
}

/// One thing below a heading.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Block {
    /// A sentence or two.
    Text(String),
    /// A heading of the second order.
    Heading(String),
    /// Rows of cells, as many as the head has.
    Table { head: Vec<&'static str>, rows: Vec<Vec<Cell>> },
    /// Lines that stay as they are.
    Lines(String),
    /// Bars over one axis of time.
    Timeline(Vec<Bar>),
}

/// One cell of a table.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Cell {
    /// Words.
    Text(String),
    /// Something to be copied: a path, a hash, a command.
    Code(String),
}

/// One bar of the timeline, in seconds from its left end.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Bar {
    pub(crate) label: String,
    pub(crate) start_s: f64,
    pub(crate) end_s: f64,
    /// Something failed there.
    pub(crate) failed: bool,
}

impl Section {
    /// A section that holds nothing yet.
    pub(crate) fn new(title: &'static str) -> Self {
        Self { title, blocks: Vec::new() }
    }

    pub(crate) fn text(&mut self, text: impl Into<String>) {
        self.blocks.push(Block::Text(text.into()));
    }

    pub(crate) fn heading(&mut self, text: impl Into<String>) {
        self.blocks.push(Block::Heading(text.into()));
    }

    pub(crate) fn lines(&mut self, text: impl Into<String>) {
        self.blocks.push(Block::Lines(text.into()));
    }

    /// A table, unless it has no row.
    pub(crate) fn table(&mut self, head: &[&'static str], rows: Vec<Vec<Cell>>) {
        if !rows.is_empty() {
            self.blocks.push(Block::Table { head: head.to_vec(), rows });
        }
    }
}

/// Words in a cell.
pub(crate) fn text(text: impl Into<String>) -> Cell {
    Cell::Text(text.into())
}

/// Something to be copied, in a cell; nothing where it is empty.
pub(crate) fn code(text: impl Into<String>) -> Cell {
    let text = text.into();
    if text.is_empty() { Cell::Text(text) } else { Cell::Code(text) }
}

//! The cells of a column that may be null, added to its leaf.

use super::levels::Levels;
use super::{Amounts, Flags, Integers, Leaf, Texts};
use crate::hex;

/// Definition levels of a leaf in no list: of null, and of a value.
const NULL: u32 = 0;
const PRESENT: u32 = 1;

/// A leaf to which cells of this type can be added.
pub(crate) trait Fill<C> {
    /// Adds a cell for each row.
    fn fill(&mut self, cells: impl Iterator<Item = C>);
}

impl Fill<Option<i64>> for Leaf<Integers> {
    #[inline]
    fn fill(&mut self, cells: impl Iterator<Item = Option<i64>>) {
        let Self { values, definition, .. } = self;
        add(definition, cells, |value| values.push(value));
    }
}

impl Fill<Option<bool>> for Leaf<Flags> {
    #[inline]
    fn fill(&mut self, cells: impl Iterator<Item = Option<bool>>) {
        let Self { values, definition, .. } = self;
        add(definition, cells, |value| values.push(value));
    }
}

impl Fill<Option<i128>> for Leaf<Amounts> {
    #[inline]
    fn fill(&mut self, cells: impl Iterator<Item = Option<i128>>) {
        let Self { values, definition, .. } = self;
        add(definition, cells, |value| values.push(value));
    }
}

/// Texts. An empty one is null.
impl<'a> Fill<&'a [u8]> for Leaf<Texts> {
    #[inline]
    fn fill(&mut self, cells: impl Iterator<Item = &'a [u8]>) {
        let Self { values, definition, .. } = self;
        add(definition, cells.map(|text| (!text.is_empty()).then_some(text)), |text| values.push(text));
    }
}

/// Names that this program gives. An empty one is null.
impl Fill<&'static str> for Leaf<Texts> {
    #[inline]
    fn fill(&mut self, cells: impl Iterator<Item = &'static str>) {
        let Self { values, definition, .. } = self;
        add(definition, cells.map(|name| (!name.is_empty()).then_some(name)), |name| values.push_name(name));
    }
}

/// Trace ids, as text. Zero is null.
impl<'a> Fill<&'a [u8; 16]> for Leaf<Texts> {
    #[inline]
    fn fill(&mut self, cells: impl Iterator<Item = &'a [u8; 16]>) {
        fill_ids(self, cells);
    }
}

/// Span ids, as text. Zero is null.
impl<'a> Fill<&'a [u8; 8]> for Leaf<Texts> {
    #[inline]
    fn fill(&mut self, cells: impl Iterator<Item = &'a [u8; 8]>) {
        fill_ids(self, cells);
    }
}

#[inline]
fn fill_ids<'a, const N: usize>(leaf: &mut Leaf<Texts>, ids: impl Iterator<Item = &'a [u8; N]>) {
    let Leaf { values, definition, bloom_filter, .. } = leaf;
    add(definition, ids.map(hex::digits), |digits| {
        values.push(digits.as_flattened());
        bloom_filter.iter_mut().for_each(|filter| filter.insert(digits.as_flattened()));
    });
}

/// Notes which cells are null, and has the others added. Most columns have values in all rows or in none.
#[inline]
fn add<T>(definition: &mut Levels, cells: impl Iterator<Item = Option<T>>, mut value: impl FnMut(T)) {
    let (mut level, mut count) = (PRESENT, 0);
    for cell in cells {
        let next = if cell.is_some() { PRESENT } else { NULL };
        if next != level {
            definition.push_many(level, count);
            (level, count) = (next, 0);
        }
        count += 1;
        if let Some(cell) = cell {
            value(cell);
        }
    }
    definition.push_many(level, count);
}

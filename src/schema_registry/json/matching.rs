//! Which schemas of two combinations stand for each other, as many as can.

use std::collections::BTreeMap;

/// A largest set of pairs of a row and a column, of which `fits` holds those that are possible; the same place is
/// preferred. Berge: a set is largest when no path leads from a free row over pairs to a free column.
pub(super) fn largest<T>(fits: &[BTreeMap<usize, T>], columns: usize) -> Vec<(usize, usize)> {
    let mut row_of: Vec<Option<usize>> = vec![None; columns];
    let mut free: Vec<usize> = Vec::new();
    for (row, possible) in fits.iter().enumerate() {
        if possible.contains_key(&row) {
            row_of[row] = Some(row);
        } else {
            free.push(row);
        }
    }
    free.into_iter().for_each(|row| augment(fits, &mut row_of, row));
    let pairs = row_of.iter().enumerate().filter_map(|(column, row)| Some(((*row)?, column)));
    let mut pairs: Vec<(usize, usize)> = pairs.collect();
    pairs.sort_unstable();
    pairs
}

/// Looks for a path from a free row, breadth first, and turns the pairs on it over.
fn augment<T>(fits: &[BTreeMap<usize, T>], row_of: &mut [Option<usize>], start: usize) {
    let mut came_from: BTreeMap<usize, usize> = BTreeMap::new();
    let mut rows = std::collections::VecDeque::from([start]);
    while let Some(row) = rows.pop_front() {
        for &column in fits[row].keys() {
            if came_from.contains_key(&column) {
                continue;
            }
            came_from.insert(column, row);
            match row_of[column] {
                Some(next) => rows.push_back(next),
                None => return turn(row_of, &came_from, (start, column)),
            }
        }
    }
}

fn turn(
    row_of: &mut [Option<usize>],
    came_from: &BTreeMap<usize, usize>,
    (start, end): (usize, usize),
) {
    let mut column = end;
    loop {
        let row = came_from[&column];
        let before = row_of.iter().position(|held| *held == Some(row));
        row_of[column] = Some(row);
        match before {
            Some(held) if row != start => column = held,
            _ => return,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::largest;

    fn pairs(fits: &[&[usize]], columns: usize) -> usize {
        let fits: Vec<_> =
            fits.iter().map(|row| row.iter().map(|column| (*column, ())).collect()).collect();
        let pairs = largest(&fits, columns);
        let mut taken: Vec<usize> = pairs.iter().map(|(_, column)| *column).collect();
        taken.sort_unstable();
        taken.dedup();
        assert_eq!(taken.len(), pairs.len(), "a column twice");
        pairs.len()
    }

    #[test]
    fn as_many_pairs_as_possible_are_found() {
        assert_eq!(pairs(&[], 0), 0);
        assert_eq!(pairs(&[&[]], 1), 0);
        assert_eq!(pairs(&[&[0]], 1), 1);
        assert_eq!(pairs(&[&[0], &[0]], 1), 1);
        // The first row must give its place up.
        assert_eq!(pairs(&[&[0, 1], &[0]], 2), 2);
        assert_eq!(pairs(&[&[0, 1], &[1, 2], &[0]], 3), 3);
        assert_eq!(pairs(&[&[1], &[1, 0], &[2, 0], &[2, 3], &[3]], 4), 4);
        assert_eq!(pairs(&[&[2], &[2], &[0, 1, 2]], 3), 2);
    }
}

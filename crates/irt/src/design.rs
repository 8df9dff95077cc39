//! Which parts of a design hang together? Numbers of different parts cannot be compared.

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::facets::Mark;
use crate::{Error, Responses, Result};

/// Persons and elements that a chain of common responses connects.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    /// Persons, rising.
    pub persons: Vec<usize>,
    /// Elements, facet by facet, rising; responses without raters have one facet, their items.
    pub elements: Vec<Vec<usize>>,
    /// Responses in it.
    pub responses: usize,
}

impl Responses {
    /// The parts of the design, the one with most responses first; persons and items without responses are
    /// in none.
    pub fn parts(&self) -> Vec<Part> {
        let marks = (0..self.persons()).flat_map(|p| self.of(p).map(move |(item, _)| (p, std::iter::once(item))));
        parts(marks, self.persons(), &[self.items()])
    }

    /// Refuses a design of several parts.
    pub(crate) fn whole(&self) -> Result<()> {
        // One who met every item connects them all, and through them everybody who met any.
        if (0..self.persons()).any(|person| self.of(person).len() == self.items()) {
            return Ok(());
        }
        whole(&self.parts(), &["item"])
    }
}

/// The parts of a design with so many persons and elements of each facet, the one with most marks first.
pub fn of_marks(marks: &[Mark], persons: usize, sizes: &[usize]) -> Vec<Part> {
    let all = marks.iter().map(|m| (m.person as usize, m.elements.iter().map(|&e| e as usize)));
    parts(all, persons, sizes)
}

/// An error that names the parts by number, if there are several.
pub(crate) fn whole(parts: &[Part], names: &[&str]) -> Result<()> {
    if parts.len() < 2 {
        return Ok(());
    }
    let list = |numbers: &[usize]| {
        let shown: Vec<String> = numbers.iter().take(3).map(usize::to_string).collect();
        let more = numbers.len().saturating_sub(3);
        shown.join(", ") + &if more > 0 { format!(" and {more} more") } else { String::new() }
    };
    let one = |part: &Part| {
        let of = |(facet, elements): (usize, &Vec<usize>)| {
            format!("{} {}", names.get(facet).copied().unwrap_or("element"), list(elements))
        };
        let elements: Vec<String> = part.elements.iter().enumerate().map(of).collect();
        format!("person {} with {}", list(&part.persons), elements.join(", "))
    };
    let shown: Vec<String> = parts.iter().take(4).map(one).collect();
    let more = if parts.len() > 4 { "; …" } else { "" };
    Err(Error::Data {
        problem: format!("the design falls into {} parts: {}{more}", parts.len(), shown.join("; ")),
        hint: "fit the parts apart, or add persons who meet items of both",
    })
}

fn parts<E: Iterator<Item = usize>>(
    marks: impl Iterator<Item = (usize, E)>,
    persons: usize,
    sizes: &[usize],
) -> Vec<Part> {
    fn root(parent: &mut [usize], mut at: usize) -> usize {
        while parent[at] != at {
            parent[at] = parent[parent[at]];
            at = parent[at];
        }
        at
    }
    let mut offsets = vec![persons];
    sizes.iter().for_each(|n| offsets.push(offsets[offsets.len() - 1] + n));
    let count = offsets[sizes.len()];
    let mut parent: Vec<usize> = (0..count).collect();
    let mut met = vec![0_usize; count];
    for (person, elements) in marks {
        met[person] += 1;
        for (facet, element) in elements.enumerate() {
            let at = offsets[facet] + element;
            met[at] += 1;
            let (a, b) = (root(&mut parent, person), root(&mut parent, at));
            // The smaller one leads, so that a part is known by its first person.
            parent[a.max(b)] = a.min(b);
        }
    }
    let mut found: Vec<Part> = Vec::new();
    let mut numbers = vec![usize::MAX; count];
    for at in (0..count).filter(|&at| met[at] > 0) {
        let root = root(&mut parent, at);
        if numbers[root] == usize::MAX {
            numbers[root] = found.len();
            found.push(Part { persons: Vec::new(), elements: vec![Vec::new(); sizes.len()], responses: 0 });
        }
        let part = &mut found[numbers[root]];
        if at < persons {
            part.persons.push(at);
            part.responses += met[at];
        } else {
            let facet = offsets.iter().rposition(|&o| o <= at).unwrap_or(0);
            part.elements[facet].push(at - offsets[facet]);
        }
    }
    found.sort_by_key(|part| std::cmp::Reverse(part.responses));
    found
}

/// Subsets of each facet within which differences follow from the marks alone. A connected design can
/// still have several: where each rater marks persons of his own, severe raters and weak persons cannot
/// be told apart, unless persons are taken to be drawn from one population, as [`crate::facets::fit`] does.
/// For each facet and element the number of its subset, from 0; none for an element without marks.
///
/// Two elements' difference is fixed by the marks if every vector of the null space of the design
/// θ_p − Σ_f δ_f has the same value at both. One random vector of that space, which conjugate gradients
/// give, tells them apart with probability 1.
pub fn subsets(marks: &[Mark], persons: usize, sizes: &[usize], seed: u64) -> Vec<Vec<Option<usize>>> {
    let mut offsets = vec![persons];
    sizes.iter().for_each(|n| offsets.push(offsets[offsets.len() - 1] + n));
    let count = offsets[sizes.len()];
    let rows: Vec<Vec<usize>> = marks
        .iter()
        .map(|m| {
            let elements = m.elements.iter().enumerate().map(|(facet, &e)| offsets[facet] + e as usize);
            std::iter::once(m.person as usize).chain(elements).collect()
        })
        .collect();
    let sign = |at: usize| if at < persons { 1.0 } else { -1.0 };
    let forward =
        |x: &[f64]| -> Vec<f64> { rows.iter().map(|row| row.iter().map(|&at| sign(at) * x[at]).sum()).collect() };
    let back = |y: &[f64]| -> Vec<f64> {
        let mut out = vec![0.0; count];
        rows.iter().zip(y).for_each(|(row, y)| row.iter().for_each(|&at| out[at] += sign(at) * y));
        out
    };
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let x: Vec<f64> = (0..count).map(|_| random.random::<f64>() - 0.5).collect();
    let square = |x: &[f64]| x.iter().map(|x| x * x).sum::<f64>();
    // CGLS for the shortest z with A z = A x; x − z lies in the null space.
    let mut z = vec![0.0; count];
    let mut rest = forward(&x);
    let mut slope = back(&rest);
    let (first, mut size) = (square(&slope), square(&slope));
    let mut direction = slope.clone();
    for _ in 0..4 * count + 50 {
        if size <= 1e-24 * first || size == 0.0 {
            break;
        }
        let along = forward(&direction);
        let step = size / square(&along);
        z.iter_mut().zip(&direction).for_each(|(z, d)| *z += step * d);
        rest.iter_mut().zip(&along).for_each(|(r, a)| *r -= step * a);
        slope = back(&rest);
        let next = square(&slope);
        direction.iter_mut().zip(&slope).for_each(|(d, s)| *d = s + next / size * *d);
        size = next;
    }
    let free: Vec<f64> = x.iter().zip(&z).map(|(x, z)| x - z).collect();
    let mut met = vec![false; count];
    rows.iter().flatten().for_each(|&at| met[at] = true);
    let facet = |facet: usize| {
        let range = offsets[facet]..offsets[facet + 1];
        let mut order: Vec<usize> = range.clone().filter(|&at| met[at]).collect();
        order.sort_by(|&a, &b| free[a].total_cmp(&free[b]));
        let mut numbers = vec![None; range.len()];
        let mut subset = 0;
        for (place, &at) in order.iter().enumerate() {
            if place > 0 && free[at] - free[order[place - 1]] > 1e-6 {
                subset += 1;
            }
            numbers[at - range.start] = Some(subset);
        }
        numbers
    };
    (0..sizes.len()).map(facet).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mark(person: u32, item: u32, rater: u32) -> Mark {
        Mark { person, elements: vec![item, rater], score: 0 }
    }

    #[test]
    fn parts_are_named_with_persons_items_and_raters() {
        let marks = [mark(0, 0, 0), mark(1, 0, 1), mark(2, 2, 3), mark(2, 3, 3), mark(3, 3, 3)];
        let found = of_marks(&marks, 5, &[4, 4]);
        let part = |persons: &[usize], items: &[usize], raters: &[usize], responses| Part {
            persons: persons.to_vec(),
            elements: vec![items.to_vec(), raters.to_vec()],
            responses,
        };
        assert_eq!(found, [part(&[2, 3], &[2, 3], &[3], 3), part(&[0, 1], &[0], &[0, 1], 2)]);
        let text = whole(&found, &["item", "rater"]).expect_err("two parts").to_string();
        assert!(text.contains("2 parts: person 2, 3 with item 2, 3, rater 3; person 0, 1"), "{text}");
        assert!(whole(&found[..1], &["item"]).is_ok());
    }

    #[test]
    fn raters_with_persons_of_their_own_cannot_be_told_from_them() {
        // Every person answers both items; persons 0, 1 are marked by rater 0, persons 2, 3 by rater 1.
        let nested: Vec<Mark> = (0..4).flat_map(|p| (0..2).map(move |item| mark(p, item, p / 2))).collect();
        assert_eq!(of_marks(&nested, 4, &[2, 2]).len(), 1);
        let found = subsets(&nested, 4, &[2, 2], 1);
        assert!(found[0] == [Some(0), Some(0)] && found[1][0] != found[1][1], "{found:?}");
        // Raters who change places between items are told apart, though no two marks differ in the rater alone.
        let turned: Vec<Mark> = (0..4).flat_map(|p| (0..2).map(move |item| mark(p, item, (p + item) % 2))).collect();
        assert_eq!(subsets(&turned, 4, &[2, 3], 1), [vec![Some(0), Some(0)], vec![Some(0), Some(0), None]]);
    }
}

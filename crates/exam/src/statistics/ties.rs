/// Groups of persons of whom no two are told apart: the compact letter display.
///
/// `different(i, j)` says whether an adjusted test tells persons i and j of 0..n apart. Every pair within
/// a group is not distinguished at the level of the family; every pair that is not distinguished stands
/// together in some group; two who are told apart never do. A person may belong to several groups, since
/// not being told apart is not transitive: it is no proof of equality. Groups are as large as can be,
/// none can be left out, and they come in the order of their first members.
///
/// Each pair that no group covers yet begins one, to which persons are added in order (the clique cover
/// of Gramm and others 2007 for the letters of Piepho 2004): n⁴ steps at most, where listing every
/// possible group can take 2ⁿ.
pub fn tied(n: usize, different: impl Fn(usize, usize) -> bool) -> Vec<Vec<usize>> {
    let mut groups: Vec<Vec<usize>> = Vec::new();
    let together = |groups: &[Vec<usize>], i, j| groups.iter().any(|group| group.contains(&i) && group.contains(&j));
    for i in 0..n {
        for j in i..n {
            // Somebody who is told apart from all others is a group alone.
            let covered = together(&groups, i, j);
            if covered || (i != j && different(i, j)) || (i == j && (i + 1..n).any(|other| !different(i, other))) {
                continue;
            }
            let mut group = vec![i];
            if j != i {
                group.push(j);
            }
            for other in 0..n {
                if !group.contains(&other) && group.iter().all(|&member| !different(member, other)) {
                    group.push(other);
                }
            }
            group.sort_unstable();
            groups.push(group);
        }
    }
    // A group all of whose pairs stand together elsewhere says nothing.
    let mut at = groups.len();
    while at > 0 {
        at -= 1;
        let group = groups.remove(at);
        let needed = group.iter().any(|&i| group.iter().any(|&j| !together(&groups, i, j)));
        if needed {
            groups.insert(at, group);
        }
    }
    groups.sort();
    groups
}

/// The letters of each person: `a` for the first group, and so on; after `z` come `a2`, `b2`, …
pub fn letters(n: usize, groups: &[Vec<usize>]) -> Vec<String> {
    let letter = |at: usize| {
        let (round, letter) = (at / 26, char::from(b'a' + (at % 26) as u8));
        if round == 0 { letter.to_string() } else { format!("{letter}{}", round + 1) }
    };
    let of = |person| groups.iter().enumerate().filter(move |(_, group)| group.contains(&person));
    (0..n).map(|person| of(person).map(|(at, _)| letter(at)).collect::<Vec<_>>().join("")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::{RngExt, SeedableRng};

    #[test]
    fn a_chain_overlaps() {
        // Neighbours are tied, others not: a, ab, bc, c.
        let groups = tied(4, |i, j| i.abs_diff(j) > 1);
        assert_eq!(groups, [vec![0, 1], vec![1, 2], vec![2, 3]]);
        assert_eq!(letters(4, &groups), ["a", "ab", "bc", "c"]);
        assert_eq!(letters(3, &tied(3, |_, _| true)), ["a", "b", "c"]);
        assert_eq!(letters(3, &tied(3, |_, _| false)), ["a", "a", "a"]);
        assert_eq!(letters(28, &tied(28, |_, _| true))[27], "b2");
        assert!(tied(0, |_, _| true).is_empty());
    }

    #[test]
    fn groups_say_exactly_what_the_tests_say() {
        let mut random = rand_chacha::ChaCha8Rng::seed_from_u64(1);
        for n in 1..15 {
            let apart: Vec<bool> = (0..n * n).map(|_| random.random::<f64>() < 0.4).collect();
            let different = |i: usize, j: usize| i != j && apart[i.min(j) * n + i.max(j)];
            let groups = tied(n, different);
            for i in 0..n {
                for j in 0..n {
                    let together = groups.iter().any(|group| group.contains(&i) && group.contains(&j));
                    assert_eq!(together, !different(i, j), "{i} {j} of {n}: {groups:?}");
                }
            }
            for at in 0..groups.len() {
                let others: Vec<_> = groups.iter().enumerate().filter(|(i, _)| *i != at).map(|(_, g)| g).collect();
                let own = &groups[at];
                let without = |i: &usize, j: &usize| others.iter().any(|g| g.contains(i) && g.contains(j));
                assert!(own.iter().any(|i| own.iter().any(|j| !without(i, j))), "group {at} is not needed");
            }
        }
    }
}

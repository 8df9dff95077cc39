//! Solves every kind of problem from the text of its question alone, with none of the generators'
//! code, and checks every step on the way.

use std::collections::BTreeMap;

use tasks::{Kind, Problem};

/// The answer to a problem's question; panics where a step is not true.
pub fn solve(problem: &Problem) -> String {
    let question = problem.question.as_str();
    let mut steps = Steps { of: problem, next: 0 };
    let answer = match problem.kind {
        Kind::Chain => chain(question, &mut steps),
        Kind::Words => words(question, &mut steps),
        Kind::Rules => rules(question, &mut steps),
        Kind::Lookup => lookup(question, &mut steps),
        Kind::Hops => hops(question, &mut steps),
        Kind::Strings => strings(question, &mut steps),
        Kind::Programs => programs(question, &mut steps),
    };
    assert_eq!(steps.next, problem.steps.len(), "steps left over: {problem:?}");
    answer
}

/// The steps of a solution, each of which must be what the solver expects.
struct Steps<'a> {
    of: &'a Problem,
    next: usize,
}

impl Steps<'_> {
    fn expect(&mut self, step: String) {
        assert_eq!(self.of.steps.get(self.next), Some(&step), "step {} of {:?}", self.next + 1, self.of);
        self.next += 1;
    }
}

fn number(text: &str) -> i64 {
    text.parse().unwrap_or_else(|_| panic!("{text:?} is no number"))
}

fn compute(left: i64, sign: &str, right: i64) -> i64 {
    match sign {
        "+" => left + right,
        "-" => left - right,
        "*" => left * right,
        _ => panic!("{sign:?} is no operation"),
    }
}

/// `ab+12` → (`ab`, `+`, `12`).
fn parts(expression: &str) -> (&str, &str, &str) {
    let at = expression.find(['+', '-', '*']).expect("an operation");
    (&expression[..at], &expression[at..=at], &expression[at + 1..])
}

fn chain(question: &str, steps: &mut Steps) -> String {
    let mut terms = question.split(' ');
    let mut value = number(terms.next().expect("a first number"));
    for term in terms {
        let next = compute(value, &term[..1], number(&term[1..]));
        steps.expect(format!("{value}{term}={next}"));
        value = next;
    }
    value.to_string()
}

fn words(question: &str, steps: &mut Steps) -> String {
    let (facts, asked) = question.rsplit_once(". ").expect("facts and a question");
    let mut has: BTreeMap<&str, i64> = BTreeMap::new();
    for fact in facts.split(". ") {
        let said: Vec<&str> = fact.split(' ').collect();
        let value = |who: &str| has.get(who).copied().expect("named before");
        let mut change = |sign: &str, by: i64| {
            let (old, new) = (value(said[0]), compute(value(said[0]), sign, by));
            steps.expect(format!("{old}{sign}{by}={new}"));
            new
        };
        let new = match said[1..] {
            ["has", count, _] => number(count),
            ["has", count, "times", whom] => {
                let new = value(whom) * number(count);
                steps.expect(format!("{}: {}*{count}={new}", said[0], value(whom)));
                new
            }
            ["has", count, more, "than", whom] => {
                let sign = if more == "more" { "+" } else { "-" };
                let new = compute(value(whom), sign, number(count));
                steps.expect(format!("{}: {}{sign}{count}={new}", said[0], value(whom)));
                new
            }
            ["gets", boxes, "boxes", "of", size] => {
                let all = number(boxes) * number(size);
                steps.expect(format!("{boxes}*{size}={all}"));
                let (old, new) = (value(said[0]), value(said[0]) + all);
                steps.expect(format!("{old}+{all}={new}"));
                new
            }
            ["finds" | "gets" | "buys" | "wins", count] => change("+", number(count)),
            ["loses" | "sells" | "drops", count] | ["gives", "away", count] => change("-", number(count)),
            _ => panic!("{fact:?}"),
        };
        has.insert(said[0], new);
    }
    let asked: Vec<&str> = asked.trim_end_matches('?').split(' ').collect();
    match asked[..] {
        ["how", "many", _, "has", who] => has[who].to_string(),
        ["how", "many", _, "have", one, "and", other] => {
            let sum = has[one] + has[other];
            steps.expect(format!("{}+{}={sum}", has[one], has[other]));
            sum.to_string()
        }
        _ => panic!("{asked:?}"),
    }
}

fn rules(question: &str, steps: &mut Steps) -> String {
    let (start, rules) = question.strip_prefix("rewrite ").and_then(|q| q.split_once(": ")).expect("string and rules");
    let mut text = start.to_string();
    for rule in rules.split(", ") {
        let (left, right) = rule.split_once('>').expect("a rule");
        if let Some(at) = text.find(left) {
            text = format!("{}{right}{}", &text[..at], &text[at + left.len()..]);
        }
        steps.expect(format!("{rule}: {text}"));
    }
    text
}

fn lookup(question: &str, steps: &mut Steps) -> String {
    let (what, rest) = question.split_once(' ').expect("a form");
    let (data, asked) = rest.split_once(". ").expect("data and a question");
    match what {
        "map" => {
            let map: BTreeMap<&str, &str> = data.split(", ").map(|e| e.split_once(':').expect("an entry")).collect();
            let (mut at, turns) = asked.strip_prefix("start at ").and_then(|a| a.split_once(", go ")).expect("a walk");
            for _ in 0..number(turns) {
                steps.expect(format!("{at}:{}", map[at]));
                at = map[at];
            }
            at.into()
        }
        "list" => {
            let list: Vec<i64> = data.split(' ').map(number).collect();
            let mut sum = None;
            for item in asked.trim_end_matches('?').split(" + ") {
                let place = item.strip_prefix("item ").expect("an item");
                let value = list[usize::try_from(number(place)).expect("positive") - 1];
                match sum {
                    None => steps.expect(format!("{item}: {value}")),
                    Some(old) => steps.expect(format!("{item}: {old}+{value}={}", old + value)),
                }
                sum = Some(sum.unwrap_or(0) + value);
            }
            sum.expect("items").to_string()
        }
        "table" => {
            let wanted = asked.strip_prefix("sum of ").expect("a colour").trim_end_matches('?');
            let mut sum = None;
            for row in data.split(", ").map(|row| row.split(' ').collect::<Vec<_>>()).filter(|row| row[1] == wanted) {
                let value = number(row[2]);
                match sum {
                    None => steps.expect(format!("{}: {value}", row[0])),
                    Some(old) => steps.expect(format!("{}: {old}+{value}={}", row[0], old + value)),
                }
                sum = Some(sum.unwrap_or(0) + value);
            }
            sum.expect("rows").to_string()
        }
        _ => panic!("{question}"),
    }
}

fn hops(question: &str, steps: &mut Steps) -> String {
    let mut sentences: Vec<&str> = question.split(". ").collect();
    let asked = sentences.pop().expect("a question").trim_end_matches('?');
    let (goal, start) = asked.strip_prefix("where is ").and_then(|a| a.split_once(" from ")).expect("two places");
    // Edges both ways: place, place, east, north.
    let mut edges = Vec::new();
    for sentence in sentences {
        let said: Vec<&str> = sentence.split(' ').collect();
        let (far, direction) = if said.len() == 6 { (number(said[2]), said[3]) } else { (1, said[2]) };
        let (east, north) = match direction {
            "north" => (0, far),
            "south" => (0, -far),
            "east" => (far, 0),
            "west" => (-far, 0),
            _ => panic!("{sentence}"),
        };
        let (place, from) = (said[0], said[said.len() - 1]);
        edges.push((from, place, east, north));
        edges.push((place, from, -east, -north));
    }
    let path = walk(start, goal, &mut vec![start], &edges).expect("a way");
    let (mut east, mut north) = (0, 0);
    for &(_, place, e, n) in &path {
        east += e;
        north += n;
        steps.expect(format!("{place}: {}", place_text(east, north)));
    }
    place_text(east, north)
}

type Edge<'a> = (&'a str, &'a str, i64, i64);

fn walk<'a>(at: &'a str, goal: &str, seen: &mut Vec<&'a str>, edges: &[Edge<'a>]) -> Option<Vec<Edge<'a>>> {
    if at == goal {
        return Some(Vec::new());
    }
    for edge in edges.iter().filter(|edge| edge.0 == at) {
        if !seen.contains(&edge.1) {
            seen.push(edge.1);
            if let Some(mut rest) = walk(edge.1, goal, seen, edges) {
                rest.insert(0, *edge);
                return Some(rest);
            }
        }
    }
    None
}

fn place_text(east: i64, north: i64) -> String {
    let mut parts = Vec::new();
    if east != 0 {
        parts.push(format!("{} {}", east.abs(), if east > 0 { "east" } else { "west" }));
    }
    if north != 0 {
        parts.push(format!("{} {}", north.abs(), if north > 0 { "north" } else { "south" }));
    }
    if parts.is_empty() { "here".into() } else { parts.join(" ") }
}

fn strings(question: &str, steps: &mut Steps) -> String {
    let (start, operations) = question.split_once(": ").expect("a string and operations");
    let mut text: Vec<char> = start.chars().collect();
    for operation in operations.split(", ") {
        let said: Vec<&str> = operation.split(' ').collect();
        match said[..] {
            ["reverse"] => text.reverse(),
            ["add", more] => text.extend(more.chars()),
            ["put", more, "first"] => text.splice(0..0, more.chars()).for_each(drop),
            ["drop", "first"] => drop(text.remove(0)),
            ["drop", "last"] => drop(text.pop()),
            ["letter", at] => text = vec![text[usize::try_from(number(at)).expect("positive") - 1]],
            [old, "to", new] => {
                let letter = |text: &str| text.chars().next().expect("a letter");
                text.iter_mut().filter(|c| **c == letter(old)).for_each(|c| *c = letter(new));
            }
            _ => panic!("{operation}"),
        }
        steps.expect(format!("{operation}: {}", text.iter().collect::<String>()));
    }
    text.iter().collect()
}

fn programs(question: &str, steps: &mut Steps) -> String {
    let mut values: BTreeMap<String, i64> = BTreeMap::new();
    let assign = |line: &str, before: &str, values: &mut BTreeMap<String, i64>, steps: &mut Steps| {
        let (target, expression) = line.split_once('=').expect("an assignment");
        if let Ok(value) = expression.parse() {
            values.insert(target.into(), value);
            return;
        }
        let (left, sign, right) = parts(expression);
        let of = |text: &str| text.parse().unwrap_or_else(|_| values[text]);
        let new = compute(of(left), sign, of(right));
        steps.expect(format!("{before}{target}={}{sign}{}={new}", of(left), of(right)));
        values.insert(target.into(), new);
    };
    for line in question.split("; ") {
        if let Some(printed) = line.strip_prefix("print ") {
            return values[printed].to_string();
        }
        let (head, body) = line.split_once(": ").unwrap_or(("", line));
        if let Some(turns) = head.strip_prefix("repeat ") {
            for _ in 0..number(turns) {
                assign(body, "", &mut values, steps);
            }
        } else if let Some((tested, bound)) = head.strip_prefix("if ").and_then(|c| c.split_once('>')) {
            if values[tested] > number(bound) {
                assign(body, &format!("{}>{bound}: ", values[tested]), &mut values, steps);
            } else {
                steps.expect(format!("{}>{bound}: no", values[tested]));
            }
        } else {
            assign(body, "", &mut values, steps);
        }
    }
    panic!("nothing is printed: {question}")
}

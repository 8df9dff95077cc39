use scaling::{Losses, Split, Target, splits};

/// The ten tasks of the table.
pub const TEN: [&str; 10] = [
    "hellaswag",
    "arc_easy",
    "lambada_openai",
    "piqa",
    "bigbench_qa_wikidata",
    "coqa",
    "squad",
    "jeopardy",
    "winograd",
    "copa",
];

/// The published results, a model a row.
pub struct Published {
    pub data: Vec<String>,
    pub n: Vec<f64>,
    pub d: Vec<f64>,
    pub losses: Losses,
    pub tasks: Vec<Target>,
    /// Items of each task.
    pub items: Vec<usize>,
}

impl Published {
    pub fn read() -> Self {
        let text = include_str!("../data/scaling.csv");
        let mut lines = text.lines().map(|line| line.split(',').collect::<Vec<_>>());
        let head = lines.next().expect("a head");
        let rows: Vec<Vec<&str>> = lines.collect();
        assert_eq!((rows.len(), head.len()), (104, 5 + 8 + 46));
        let column = |k: usize| -> Vec<f64> { rows.iter().map(|row| row[k].parse().expect("a number")).collect() };
        let losses = rows.iter().flat_map(|row| row[5..13].iter().map(|x| x.parse::<f32>().expect("a loss"))).collect();
        let names = rows.iter().map(|row| format!("{}/{}/{}", row[0], row[1], row[4])).collect();
        let items = include_str!("../data/tasks.csv").lines().skip(1);
        let items = items.map(|line| line.split(',').nth(1).expect("a column").parse().expect("a number")).collect();
        Self {
            items,
            data: rows.iter().map(|row| row[0].to_string()).collect(),
            n: column(2),
            d: column(3),
            losses: Losses::new(104, 8, losses).expect("finite").named(names).expect("104 names"),
            tasks: (13..head.len()).map(|k| Target::new(head[k], column(k))).collect(),
        }
    }

    /// The published C4 loss, in double precision.
    pub fn c4(&self) -> Vec<f64> {
        (0..104).map(|m| f64::from(self.losses.row(m)[1])).collect()
    }

    /// The table's four splits.
    pub fn splits(&self) -> Vec<Split> {
        let all: Vec<usize> = (0..104).collect();
        let without = |data: &str| splits::hold_out(&self.data, &all, &data.to_string()).expect("a distribution");
        let mut splits = ["rpj", "rw", "c4"].map(without).to_vec();
        splits.push(splits::larger(&self.n, &all, 1e9).expect("large ones"));
        splits
    }

    pub fn ten(&self) -> Vec<Target> {
        let find = |name: &&str| self.tasks.iter().find(|t| t.task == *name).expect("the task").clone();
        TEN.iter().map(find).collect()
    }
}

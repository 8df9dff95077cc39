use record::{FactKind, Item, Message, Sample};

use crate::{Error, Problem, Result, Split};

impl Problem {
    /// The problem as an example to learn from: prompt, then solution. Problems of the exam split
    /// are refused, by the split that the question's text decides, whatever the record claims.
    pub fn sample(&self) -> Result<Sample> {
        let split = self.sealed("training")?;
        if split == Split::Exam {
            return Err(Error::Sealed { id: self.id.clone(), split, wanted: "training" });
        }
        Ok(Sample {
            id: self.id.clone(),
            fact: self.id.clone(),
            document: self.document(),
            messages: vec![Message::user(self.prompt()), Message::assistant(self.solution())],
            wording: self.kind.name().into(),
            citations: Vec::new(),
        })
    }

    /// The problem as a question of an item bank: practice for the train split, else the bank of the
    /// split's own name.
    pub fn item(&self) -> Result<Item> {
        let split = self.sealed(self.split.name())?;
        let number = self.answer.parse::<u64>().is_ok();
        Ok(Item {
            id: self.id.clone(),
            fact: self.id.clone(),
            document: self.document(),
            kind: if number { FactKind::Number } else { FactKind::Other },
            bank: split.bank(),
            question: self.question.clone(),
            answers: vec![self.answer.clone()],
            choices: Vec::new(),
            sentence: String::new(),
            citation: None,
            wording: self.kind.name().into(),
        })
    }

    fn document(&self) -> String {
        format!("tasks/{}/{}", self.kind, self.difficulty)
    }

    /// The question's split, if the problem says the same.
    fn sealed(&self, wanted: &'static str) -> Result<Split> {
        let split = Split::of(&self.question);
        if split == self.split { Ok(split) } else { Err(Error::Sealed { id: self.id.clone(), split, wanted }) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Kind, generate};
    use record::Bank;

    #[test]
    fn exam_problems_never_become_samples() {
        for problem in generate(Kind::Chain, 2, Split::Exam, 20, 1).expect("problems") {
            assert!(matches!(problem.sample(), Err(Error::Sealed { .. })));
            assert_eq!(problem.item().expect("item").bank, Bank::Exam);
            // Nor does a record that lies about its split.
            let forged = Problem { split: Split::Train, ..problem };
            assert!(matches!(forged.sample(), Err(Error::Sealed { split: Split::Exam, .. })));
            assert!(matches!(forged.item(), Err(Error::Sealed { .. })));
        }
    }

    #[test]
    fn a_sample_ends_with_the_solution() {
        let problem = &generate(Kind::Hops, 1, Split::Train, 1, 1).expect("problems")[0];
        let sample = problem.sample().expect("sample");
        assert_eq!((sample.messages.len(), &sample.messages[1].content), (2, &problem.solution()));
        assert_eq!(
            (sample.document.as_str(), sample.messages[0].content.as_str()),
            ("tasks/hops/1", &*problem.prompt())
        );
        let item = problem.item().expect("item");
        assert_eq!((item.bank, item.answers), (Bank::Practice, vec![problem.answer.clone()]));
    }
}

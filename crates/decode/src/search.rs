use lm::SharedModel;

use crate::session::Session;
use crate::{
    Error, Event, Request, Result, Search, Strategy, Tools, beam, best_of, greedy, mcts, phi, predictive, sampling,
    self_consistency, tree_of_thoughts,
};

/// Searches for an answer; `progress` sees every node, round, certain piece of text, and the cost.
///
/// # Errors
/// A setting out of range, a model that lacks what the strategy needs, or a call that failed, with
/// the node at which it did.
pub async fn search(
    model: &SharedModel,
    strategy: &Strategy,
    request: &Request,
    tools: &Tools<'_>,
    progress: &mut (dyn FnMut(Event) + Send),
) -> Result<Search> {
    strategy.validate()?;
    request.validate()?;
    let endless = match strategy {
        Strategy::SelfConsistency(settings) => settings.n == 0,
        Strategy::BestOf(settings) => settings.n == 0,
        _ => false,
    };
    if endless && request.budget.is_none() {
        let problem = "must be given where a strategy draws as many paths as it pays for".into();
        return Err(Error::Request { field: "budget", problem });
    }
    // A remote model knows what it can do only once it was asked.
    let failed = |source| Error::Model { node: 0, operation: "ask what the model can do", source };
    let able = model.discover().await.map_err(failed)?;
    let session = Session::new(model, able, strategy, request, tools, progress);
    match strategy {
        Strategy::Greedy => greedy::search(session).await,
        Strategy::Sampling(settings) => sampling::search(session, settings).await,
        Strategy::SelfConsistency(settings) => self_consistency::search(session, settings).await,
        Strategy::BestOf(settings) => best_of::search(session, settings).await,
        Strategy::Beam(settings) => beam::search(session, settings).await,
        Strategy::TreeOfThoughts(settings) => tree_of_thoughts::search(session, settings).await,
        Strategy::Predictive(settings) => predictive::search(session, settings).await,
        Strategy::Mcts(settings) => mcts::search(session, settings).await,
        Strategy::Phi(phi) => phi::search(session, phi).await,
        Strategy::Practice { .. } => {
            let problem = "gives preferences and no answer; practise with it".into();
            Err(Error::Setting { strategy: strategy.name(), problem })
        }
    }
}

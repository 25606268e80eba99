//! Who may change what: the one place that says so, for pages, interface, command line and
//! synchronisation.

use crate::Error;
use crate::token::{Actor, Role};

/// Everything that changes a board.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Act {
    /// A result, on a leaderboard that is there or that is made for it.
    Submit,
    /// The adapter of a claim.
    Attach,
    /// What a result says, by synchronisation.
    Change,
    /// A re-evaluation of a result.
    Ask,
    /// A result that is taken back.
    Retract,
    /// A task that is not there yet.
    NewTask,
    /// More metrics than a submitter may add.
    ManyMetrics,
    /// Description, address or external name of a leaderboard.
    Describe,
    /// Direction or tolerance of a metric.
    SetMetric,
    /// The data of a leaderboard.
    NameData,
    /// A re-evaluation of everything.
    AskAll,
    /// Labelled data on the board's machine.
    AddData,
    /// Base models on the board's machine.
    AddBase,
    /// Vectors of papers' texts.
    Relate,
    /// Tokens, added and revoked.
    Token,
    /// Files of an archive.
    Import,
    /// The paper's results and the methods.
    Seed,
}

/// Who may do something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Who {
    /// A token with the role `submit`, and whoever may more.
    Submitter,
    /// The submitter of the result that it is about, and moderators.
    Own,
    /// A token with the role `moderate`.
    Moderator,
    /// Whoever sits at the board's machine; no token has this role.
    Owner,
}

impl Who {
    /// As the table in `docs/board.md` has it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Submitter => "submit",
            Self::Own => "its submitter, moderate",
            Self::Moderator => "moderate",
            Self::Owner => "owner",
        }
    }
}

impl Act {
    /// All of them.
    pub const ALL: [Self; 17] = [
        Self::Submit,
        Self::Attach,
        Self::Change,
        Self::Ask,
        Self::Retract,
        Self::NewTask,
        Self::ManyMetrics,
        Self::Describe,
        Self::SetMetric,
        Self::NameData,
        Self::AskAll,
        Self::AddData,
        Self::AddBase,
        Self::Relate,
        Self::Token,
        Self::Import,
        Self::Seed,
    ];

    /// What is done, to stand after "may not".
    pub fn words(self) -> &'static str {
        match self {
            Self::Submit => "submit a result",
            Self::Attach => "attach an adapter to a claim",
            Self::Change => "change what a result says",
            Self::Ask => "ask for a re-evaluation",
            Self::Retract => "take a result back",
            Self::NewTask => "make a new task",
            Self::ManyMetrics => "give a leaderboard more than 50 metrics",
            Self::Describe => "describe a leaderboard that is there",
            Self::SetMetric => "set a metric's direction or tolerance",
            Self::NameData => "name a leaderboard's data",
            Self::AskAll => "have everything re-evaluated",
            Self::AddData => "make data known",
            Self::AddBase => "make a base model known",
            Self::Relate => "let a model read the papers",
            Self::Token => "add or revoke a token",
            Self::Import => "import an archive",
            Self::Seed => "put the paper's results on a new board",
        }
    }

    /// Who may.
    pub fn who(self) -> Who {
        match self {
            Self::Submit => Who::Submitter,
            Self::Attach | Self::Change | Self::Ask | Self::Retract => Who::Own,
            Self::NewTask
            | Self::ManyMetrics
            | Self::Describe
            | Self::SetMetric
            | Self::NameData
            | Self::AskAll => Who::Moderator,
            Self::AddData
            | Self::AddBase
            | Self::Relate
            | Self::Token
            | Self::Import
            | Self::Seed => Who::Owner,
        }
    }

    /// The word for it in the log.
    pub fn logged(self) -> &'static str {
        match self {
            Self::Submit => "submit",
            Self::Attach => "attach",
            Self::Change => "change",
            Self::Ask | Self::AskAll => "ask",
            Self::Retract => "retract",
            Self::NewTask => "new task",
            Self::ManyMetrics => "new metric",
            Self::Describe => "describe",
            Self::SetMetric => "set metric",
            Self::NameData => "name data",
            Self::AddData => "add data",
            Self::AddBase => "add base",
            Self::Relate => "relate",
            Self::Token => "add token",
            Self::Import => "import",
            Self::Seed => "seed",
        }
    }
}

impl Actor {
    /// Whether they may do something that is nobody's own.
    pub(crate) fn may(&self, act: Act) -> Result<(), Error> {
        self.may_with(act, None)
    }

    /// Whether they may do something to what `submitter` put on the board. What came from an
    /// archive is nobody's.
    pub(crate) fn may_with(&self, act: Act, submitter: Option<&str>) -> Result<(), Error> {
        let own = submitter == Some(self.name.as_str());
        let needed = match act.who() {
            Who::Submitter => Role::Submit,
            Who::Own if own => Role::Submit,
            Who::Own | Who::Moderator => Role::Moderate,
            Who::Owner => Role::Owner,
        };
        if self.role >= needed {
            return Ok(());
        }
        let needs = match needed {
            Role::Owner => "that is for the board's owner, on its own machine",
            Role::Moderate if act.who() == Who::Own => {
                "it is not theirs, so that needs a token with the role 'moderate'"
            }
            Role::Moderate => "that needs a token with the role 'moderate'",
            _ => "that needs a token with the role 'submit'",
        };
        Err(Error::Refused(format!("'{}' may not {}: {needs}", self.name, act.words())))
    }
}

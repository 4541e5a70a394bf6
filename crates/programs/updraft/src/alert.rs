//! `updraft alert …`: which devices somebody should look at.

use clap::{ArgGroup, Args, Subcommand, ValueEnum};
use jiff::SignedDuration;
use updraft_api::{Alert, AlertCondition, AlertRule, AlertSeverity, paths};
use updraft_http::Method;
use updraft_terminal::{Result, Table, Terminal};

use crate::server::Server;
use crate::text;

/// See alarms, and say what raises them.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  updraft alert add low-memory --metric memory.available_bytes --below 5e7 --for 10m
  updraft alert add silent --silent 1h --group field --severity critical
  updraft alert add failed --failed
  updraft alert ls
  updraft alert ack 17

Alarms are events, too: `updraft subscription add` sends them to people and programs.")]
pub(crate) struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// List alarms, the newest first.
    Ls {
        /// Also those that are over.
        #[arg(long)]
        all: bool,
        /// Only those about this device.
        #[arg(long, value_name = "ID")]
        device: Option<String>,
    },
    /// Say that an alarm is known.
    Ack {
        /// The alarms' numbers.
        #[arg(required = true)]
        alerts: Vec<u64>,
    },
    /// List the rules.
    Rules,
    /// Make a rule, or change the one of this name.
    Add(Add),
    /// Delete a rule with its alarms.
    Rm {
        /// The rule.
        rule: String,
    },
}

#[derive(Debug, Args)]
#[command(group = ArgGroup::new("condition").required(true).args(["metric", "silent", "failed"]))]
struct Add {
    /// 1 to 64 of A-Z a-z 0-9 . _ -
    rule: String,
    /// A metric of a device is beyond --above or --below; `updraft device metrics` lists them.
    #[arg(long, value_name = "NAME")]
    metric: Option<String>,
    /// It is larger than this.
    #[arg(long, value_name = "VALUE", requires = "metric", allow_negative_numbers = true)]
    above: Option<f64>,
    /// It is less than this.
    #[arg(long, value_name = "VALUE", requires = "metric", allow_negative_numbers = true)]
    below: Option<f64>,
    /// A device has asked for nothing for so long, such as `1h`.
    #[arg(long, value_name = "TIME", value_parser = seconds)]
    silent: Option<u64>,
    /// A device's last assignment failed.
    #[arg(long)]
    failed: bool,
    /// How long that has to hold before the alarm is raised, such as `10m`.
    #[arg(long = "for", value_name = "TIME", value_parser = seconds, default_value = "0s")]
    for_seconds: u64,
    /// Only devices of this group; may be given more than once.
    #[arg(long = "group", value_name = "GROUP")]
    groups: Vec<String>,
    /// How much it matters.
    #[arg(long, value_enum, default_value = "warning")]
    severity: Severity,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Severity {
    /// Somebody should look at it
    Warning,
    /// Somebody has to do something
    Critical,
}

fn seconds(text: &str) -> Result<u64, String> {
    let duration: SignedDuration =
        text.parse().map_err(|_| "say a time such as 90s, 10m or 1h 30m".to_owned())?;
    u64::try_from(duration.as_secs()).map_err(|_| "it is negative".to_owned())
}

impl Arguments {
    pub(crate) fn run(&self, terminal: &Terminal) -> Result {
        let server = Server::connect()?;
        match &self.command {
            Command::Ls { all, device } => {
                let mut alerts: Vec<Alert> =
                    server.list(&format!("{}?resolved={all}", paths::ALERTS))?;
                if let Some(device) = device {
                    alerts.retain(|alert| alert.device == *device);
                }
                terminal.show(&alerts, |alerts| terminal.table(&alarms(alerts)))
            }
            Command::Ack { alerts } => {
                for alert in alerts {
                    server.change(Method::Post, &paths::alert_acknowledge(*alert))?;
                }
                Ok(())
            }
            Command::Rules => {
                let rules: Vec<AlertRule> = server.get(paths::ALERT_RULES)?;
                terminal.show(&rules, |rules| terminal.table(&list(rules)))
            }
            Command::Add(add) => {
                let rule: AlertRule =
                    server.send(Method::Put, &paths::alert_rule(&add.rule), &add.rule())?;
                terminal.show(&rule, |rule| terminal.line(format!("stored {}", rule.name)))
            }
            Command::Rm { rule } => server.change(Method::Delete, &paths::alert_rule(rule)),
        }
    }
}

impl Add {
    fn rule(&self) -> AlertRule {
        let condition = match (&self.metric, self.silent) {
            (Some(name), _) => {
                let (above, below) = (self.above, self.below);
                AlertCondition::Metric { name: name.clone(), above, below }
            }
            (None, Some(seconds)) => AlertCondition::Silent { seconds },
            (None, None) => AlertCondition::Failed,
        };
        AlertRule {
            name: self.rule.clone(),
            condition,
            for_seconds: self.for_seconds,
            groups: self.groups.clone(),
            severity: match self.severity {
                Severity::Warning => AlertSeverity::Warning,
                Severity::Critical => AlertSeverity::Critical,
            },
        }
    }
}

fn alarms(alerts: &[Alert]) -> Table {
    let mut table = Table::new(["alert", "severity", "device", "rule", "raised", "state", "what"]);
    for alert in alerts {
        let state = match (alert.resolved_at, &alert.acknowledged_by) {
            (Some(over), _) => format!("over at {}", text::time(over)),
            (None, Some(who)) => format!("known to {who}"),
            (None, None) => "open".to_owned(),
        };
        table.row([
            alert.id.to_string(),
            text::name_of(&alert.severity),
            alert.device.clone(),
            alert.rule.clone(),
            text::time(alert.fired_at),
            state,
            alert.message.clone(),
        ]);
    }
    table
}

fn list(rules: &[AlertRule]) -> Table {
    let mut table = Table::new(["rule", "severity", "when", "for", "groups"]);
    for rule in rules {
        table.row([
            rule.name.clone(),
            text::name_of(&rule.severity),
            when(&rule.condition),
            format!("{}s", rule.for_seconds),
            rule.groups.join(","),
        ]);
    }
    table
}

fn when(condition: &AlertCondition) -> String {
    match condition {
        AlertCondition::Metric { name, above, below } => {
            let limits = [above.map(|it| format!("> {it}")), below.map(|it| format!("< {it}"))];
            let limits: Vec<String> = limits.into_iter().flatten().collect();
            format!("{name} {}", limits.join(" or "))
        }
        AlertCondition::Silent { seconds } => format!("silent for {seconds}s"),
        AlertCondition::Failed => "the last assignment failed".to_owned(),
    }
}

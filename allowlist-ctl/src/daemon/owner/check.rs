//! How packets would be judged: asked of the kernel, and compared with the policy every time.

use std::sync::Arc;

use allowlist_common::{
    abi::{Explanation, Judged, Unmatched},
    parse::Aside,
};
use jiff::{SignedDuration, Timestamp};

use super::Owner;
use crate::{
    api::{
        Check, CheckReason, CheckVerdict, CheckedEntry, Checks, ErrorCode, ListedBy, Problem,
        Question,
    },
    daemon::{
        check::{Aim, aims, cut, source},
        listing::entry_view,
    },
    kernel::{Cut, ExplainError, MadeUp, interfaces},
    policy::{
        Decided, Judgement, Kind, Name, Packet, Policy, Service, Unknown, group::TRUSTED_NUMBER,
        port::Ports, service::Mode,
    },
};

/// Where a packet comes in.
struct Ingress {
    /// The name that the interface is wanted by.
    name: String,
    ifindex: u32,
    is_strict: bool,
}

/// How the policy alone judges a packet.
struct Expected {
    judgement: Option<Judgement>,
    unmatched: Unmatched,
    service: Option<(Name, u16)>,
}

impl Owner {
    /// Answers a question. It is about one packet for each service at most, so that nobody waits long for his turn.
    pub(super) fn check(&mut self, question: &Question) -> Result<Checks, Problem> {
        let policy = self.kernel.policy().clone();
        let aims = aims(question, &policy)?;
        if let Some(interface) = &question.interface {
            self.check_interface(interface)?;
        }
        let checks = aims.iter().map(|aim| self.judge(&policy, question, aim));
        Ok(Checks { revision: policy.revision, checks: checks.collect::<Result<_, _>>()? })
    }

    /// Whether there is such an interface, or one is filtered by that name.
    fn check_interface(&self, name: &str) -> Result<(), Problem> {
        if self.kernel.attached().any(|attached| attached.interface == name) {
            return Ok(());
        }
        let present = interfaces().map_err(|error| {
            Problem::new(ErrorCode::Failed, format!("cannot see the interfaces: {error}"))
        })?;
        if present.iter().any(|interface| interface.name == name) {
            return Ok(());
        }
        let unknown = Unknown::among(name, present.iter().map(|interface| &interface.name));
        Err(Problem::new(ErrorCode::NotFound, format!("there is no interface {unknown}"))
            .hint("`ip link` shows the interfaces there are"))
    }

    /// Where a packet comes in: where the question says, or else where the filter and the service are.
    fn ingress(&self, question: &Question, service: Option<&Service>) -> Option<Ingress> {
        let wanted = |name: &str| match &question.interface {
            Some(interface) => name == interface,
            None => service.is_none_or(|service| service.is_on(name)),
        };
        let mut attached = self.kernel.attached().filter(|attached| attached.now.is_some());
        let attached = attached.find(|attached| wanted(&attached.interface))?;
        Some(Ingress {
            name: attached.interface.clone(),
            ifindex: attached.ifindex,
            is_strict: self.kernel.is_strict(&attached.interface),
        })
    }

    fn judge(&mut self, policy: &Policy, question: &Question, aim: &Aim) -> Result<Check, Problem> {
        let named = aim.service.as_ref().and_then(|name| policy.services.get_key_value(name));
        let source = source(question);
        let check = |verdict, reason| Check {
            address: source,
            port: Ports {
                protocol: aim.protocol,
                first: aim.destination.port(),
                last: aim.destination.port(),
            },
            to: aim.destination.ip(),
            interface: question.interface.clone(),
            verdict,
            reason,
            service: named.map(|(name, _)| name.clone()),
            mode: named.map(|(_, service)| service.mode),
            action: named.map(|(_, service)| service.action),
            would_be_dropped: false,
            entry: None,
            next: None,
        };
        let Some(ingress) = self.ingress(question, named.map(|(_, service)| service.as_ref()))
        else {
            return Ok(check(CheckVerdict::Admitted, CheckReason::NotFiltered));
        };
        let packet = MadeUp {
            source,
            destination: aim.destination,
            protocol: aim.protocol,
            vlan: question.vlan,
            cut: cut(question),
        };
        let told = self.kernel.explain(&packet.frame(), ingress.ifindex).map_err(unexplained)?;
        let expected = self.compare(policy, &packet, &ingress, &told)?;
        let interface = Some(ingress.name);
        let verdict = if told.passes == 1 { CheckVerdict::Admitted } else { CheckVerdict::Dropped };
        let (Some((name, service)), Some(judgement)) = (
            expected.service.as_ref().and_then(|(name, _)| policy.services.get_key_value(name)),
            expected.judgement,
        ) else {
            let reason = reason_without_service(&packet, expected.unmatched, named);
            let blank = Check { interface, ..check(verdict, reason) };
            let is_off = reason == CheckReason::Off;
            return Ok(if is_off {
                blank
            } else {
                Check { service: None, mode: None, action: None, ..blank }
            });
        };
        let entry = |decided: Option<Decided>| self.entry(policy, service, decided);
        let (entry, next) = (entry(judgement.entry), entry(judgement.next));
        let reason = match (judgement.judged, &entry) {
            (Judged::AdmittedOpen, _) => CheckReason::Open,
            (_, Some(entry)) if entry.entry.kind == Kind::Allow => CheckReason::Allowed,
            (_, Some(_)) => CheckReason::Excepted,
            (_, None) => CheckReason::NotCovered,
        };
        Ok(Check {
            interface,
            service: Some(name.clone()),
            mode: Some(service.mode),
            action: Some(service.action),
            would_be_dropped: judgement.judged == Judged::WouldDeny,
            entry,
            next,
            ..check(verdict, reason)
        })
    }

    /// How the policy judges a packet, where it agrees with the kernel.
    ///
    /// A clock that somebody sets a little moves the ends of entries by less than a second, so that one that ends at this
    /// very moment is allowed to have ended or not.
    fn compare(
        &self,
        policy: &Policy,
        packet: &MadeUp,
        ingress: &Ingress,
        told: &Explanation,
    ) -> Result<Expected, Problem> {
        let now = self.kernel.time_of(told.now);
        let moments = [0, -1, 1]
            .map(|seconds| now.saturating_add(SignedDuration::from_secs(seconds)).unwrap_or(now));
        let agreeing = moments
            .into_iter()
            .map(|moment| expect(policy, packet, ingress, moment))
            .find(|expected| agree(expected, told));
        agreeing.ok_or_else(|| {
            let MadeUp { source, destination, .. } = packet;
            let expected = expect(policy, packet, ingress, now);
            let message = format!(
                "the kernel and the policy disagree about a packet from {source} to {destination} on {}: \
                 the kernel's program answers {told:?}, by the policy it is {} of {:?}",
                ingress.name,
                expected.judgement.as_ref().map_or_else(
                    || format!("{:?}", expected.unmatched),
                    |judgement| format!("{:?} by {:?}", judgement.judged, judgement.entry),
                ),
                expected.service,
            );
            Problem::new(ErrorCode::Failed, message).hint(
                "this is a defect: please report it, with this message and what `allowlist-ctl export` prints",
            )
        })
    }

    fn entry(
        &self,
        policy: &Policy,
        service: &Service,
        decided: Option<Decided>,
    ) -> Option<CheckedEntry> {
        let Decided { list, key, entry } = decided?;
        let name = policy.list_name(list)?;
        let follow = policy.groups.get(name).and_then(|group| group.follow.as_deref());
        let hits = self.kernel.hits();
        Some(CheckedEntry {
            list: name.clone(),
            by: match list {
                TRUSTED_NUMBER => ListedBy::Trusted,
                number if number == service.number => ListedBy::Own,
                _ => ListedBy::Group,
            },
            entry: entry_view(&key, &entry, follow, &hits, Timestamp::now()),
        })
    }
}

/// How the policy alone judges a packet at a moment.
fn expect(policy: &Policy, packet: &MadeUp, ingress: &Ingress, now: Timestamp) -> Expected {
    let MadeUp { source, destination, protocol, .. } = *packet;
    let interface = ingress.name.as_str();
    let of_no_service = |unmatched| Expected { judgement: None, unmatched, service: None };
    if packet.cut == Cut::Later {
        return of_no_service(policy.judge_later_fragment(
            interface,
            ingress.is_strict,
            source,
            now,
        ));
    }
    let addressed = Packet { interface, protocol, destination, source };
    match policy.service_of(&addressed) {
        None => of_no_service(Unmatched::NO_SERVICE),
        Some((name, service)) => Expected {
            judgement: Some(policy.judge(service, source, now)),
            service: Some((name.clone(), service.number)),
            ..of_no_service(Unmatched::NO_SERVICE)
        },
    }
}

fn agree(expected: &Expected, told: &Explanation) -> bool {
    let number = expected.service.as_ref().map_or(0, |(_, number)| *number);
    if number != told.service {
        return false;
    }
    match &expected.judgement {
        None => expected.unmatched.counter() == u32::from(told.unmatched),
        Some(Judgement { judged, entry, .. }) => {
            let id = entry.as_ref().map_or(0, |entry| entry.entry.id);
            *judged as u8 == told.judged
                && id == told.entry
                && judged.passes() == (told.passes == 1)
        }
    }
}

/// Why a packet that belongs to no service is judged as it is.
fn reason_without_service(
    packet: &MadeUp,
    unmatched: Unmatched,
    named: Option<(&Name, &Arc<Service>)>,
) -> CheckReason {
    if packet.cut == Cut::Later {
        let is_plain = unmatched == Unmatched::passed(Aside::LaterFragment);
        return if is_plain { CheckReason::LaterFragment } else { CheckReason::FragmentRefused };
    }
    match named {
        Some((_, service)) if service.mode == Mode::Off => CheckReason::Off,
        _ => CheckReason::NoService,
    }
}

fn unexplained(error: ExplainError) -> Problem {
    Problem::new(ErrorCode::Failed, error)
        .hint("the filter itself is not touched by this; the daemon's log may say more")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::{Author, Entry, EntryKey};

    fn expected(number: Option<u16>, judged: Judged, id: u32) -> Expected {
        let key = EntryKey::manual("10.0.0.0/8".parse().unwrap(), Kind::Allow);
        let entry = Entry {
            id,
            comment: None,
            added_by: Arc::new(Author { uid: 0, name: "root".into() }),
            added_at: Timestamp::UNIX_EPOCH,
            expires_at: None,
        };
        let entry = (id != 0).then_some(Decided { list: 1, key, entry });
        Expected {
            judgement: number.map(|_| Judgement { judged, entry, next: None }),
            unmatched: Unmatched::NO_SERVICE,
            service: number.map(|number| ("redis".parse().unwrap(), number)),
        }
    }

    #[test]
    fn whatever_differs_between_kernel_and_policy_is_a_difference() {
        let told = |service, judged: Judged, entry, passes: bool| Explanation {
            service,
            judged: judged as u8,
            entry,
            passes: passes.into(),
            is_answered: 1,
            ..Explanation::default()
        };
        let admitted = expected(Some(1), Judged::Admitted, 7);
        let denied = expected(Some(1), Judged::Denied, 0);
        let nobody = expected(None, Judged::Denied, 0);
        let table = [
            (&admitted, told(1, Judged::Admitted, 7, true), true),
            (&admitted, told(1, Judged::Admitted, 8, true), false),
            (&admitted, told(2, Judged::Admitted, 7, true), false),
            (&admitted, told(1, Judged::Denied, 7, false), false),
            (&admitted, told(1, Judged::Admitted, 7, false), false),
            (&denied, told(1, Judged::Denied, 0, false), true),
            (&denied, told(1, Judged::WouldDeny, 0, true), false),
            (&nobody, told(0, Judged::Admitted, 0, true), true),
            (&nobody, told(1, Judged::Admitted, 7, true), false),
            (&nobody, Explanation { unmatched: 3, ..told(0, Judged::Admitted, 0, true) }, false),
        ];
        for (expected, told, agreed) in table {
            assert_eq!(agree(expected, &told), agreed, "{told:?}");
        }
    }
}

//! Arrival: what the segments do that reach the other side of a flow.

use super::network::{Client, Segment};
use super::server::Run;
use super::world::{Event, MILLI, SECOND, State};

impl State {
    /// The first segment of a direction is due.
    pub fn arrive(&mut self, number: u32, to_server: bool) {
        let now = self.now;
        let flow = &mut self.flows[number as usize];
        let (server, opened, is_forgotten) = (flow.server, flow.opened, flow.is_forgotten);
        let way = flow.direction(to_server);
        way.is_due = false;
        let Some((_, segment)) = way.segments.front() else {
            return;
        };
        if is_forgotten {
            way.segments.clear();
            return;
        }
        let is_opening = *segment == Segment::Open;
        if let Some(until) =
            server.and_then(|server| self.servers[server].blocked_until(now, is_opening))
        {
            let again = self.again(opened, until, is_opening);
            let way = self.flows[number as usize].direction(to_server);
            (way.is_due, way.is_lost) = (true, true);
            self.at(
                again,
                Event::Arrive {
                    flow: number,
                    to_server,
                },
            );
            return;
        }
        let way = self.flows[number as usize].direction(to_server);
        way.is_lost = false;
        let segment = way.segments.pop_front().map(|(_, segment)| segment);
        if let Some(next) = way.segments.front().map(|(arrives, _)| (*arrives).max(now)) {
            way.is_due = true;
            self.at(
                next,
                Event::Arrive {
                    flow: number,
                    to_server,
                },
            );
        }
        match (segment, to_server) {
            (Some(segment), true) => self.reach_server(number, segment),
            (Some(segment), false) => self.reach_client(number, segment),
            (None, _) => {}
        }
    }

    /// When a segment is sent again that was lost until `until`.
    fn again(&mut self, opened: u64, until: u64, is_opening: bool) -> u64 {
        if !is_opening {
            return until + self.random.below(200 * MILLI);
        }
        let mut wait = SECOND;
        while opened + wait < until {
            wait = 2 * wait + SECOND;
        }
        opened + wait
    }

    fn reach_client(&mut self, number: u32, segment: Segment) {
        let flow = &mut self.flows[number as usize];
        match (flow.client, segment) {
            (Client::Closed, _) => return,
            (Client::Connecting, Segment::Accepted) => flow.client = Client::Open,
            (Client::Connecting, Segment::Refused | Segment::Reset) => {
                flow.client = Client::Ended(Some(libc::ECONNREFUSED));
            }
            (_, Segment::Bytes(bytes)) => flow.inbox.extend(bytes),
            (_, Segment::End) => flow.client = Client::Ended(None),
            (Client::Open, Segment::Reset) => flow.client = Client::Ended(Some(libc::ECONNRESET)),
            _ => return,
        }
        self.note_arrival(number);
        self.wake_waiting_for(number);
    }

    fn reach_server(&mut self, number: u32, segment: Segment) {
        let Some(at) = self.flows[number as usize].server else {
            return;
        };
        let (run, epoch) = (self.servers[at].run, self.servers[at].epoch);
        let is_known = self.flows[number as usize].known_to == Some(epoch);
        match segment {
            Segment::Open if run == Run::Down || self.servers[at].refuses(self.now) => {
                self.put(number, false, Segment::Refused);
            }
            Segment::Open => {
                self.flows[number as usize].known_to = Some(epoch);
                self.flows[number as usize].sealed = self.servers[at].sealed().map(Box::new);
                self.put(number, false, Segment::Accepted);
                if self.servers[at].turns_away(self.now) && run == Run::Up {
                    self.put(
                        number,
                        false,
                        Segment::Bytes(b"ERROR Too many open connections\r\n".to_vec()),
                    );
                    self.hang_up(number, Segment::End);
                }
            }
            Segment::Reset if !is_known => {}
            _ if run == Run::Down || !is_known => self.put(number, false, Segment::Reset),
            Segment::Bytes(bytes) => {
                let flow = &mut self.flows[number as usize];
                match &mut flow.sealed {
                    Some(sealed) => sealed.arrived(&bytes),
                    None => flow.unread.extend(bytes),
                }
                self.serve_soon(number);
            }
            // What has arrived before is read even then.
            Segment::End | Segment::Reset => {
                self.flows[number as usize].ends = true;
                self.serve_soon(number);
            }
            Segment::Accepted | Segment::Refused => {}
        }
    }

    /// The server closes the flow.
    pub fn hang_up(&mut self, number: u32, by: Segment) {
        let flow = &mut self.flows[number as usize];
        if flow.known_to.take().is_some() {
            flow.unread.clear();
            // What is lost before a reset is never sent again.
            if by == Segment::Reset && self.random.once_in(2) {
                flow.to_client.segments.clear();
            }
            self.put(number, false, by);
        }
    }
}

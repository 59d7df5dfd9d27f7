// Package authn decides who may come in. It is the NATS micro service "authn":
// doors ask gw.svc.authn.check, operators change users with gw.svc.authn.user.put,
// .user.delete and .user.list. Any number of instances answer, each call once.
//
// The rules of check, in this order:
//
//	no user name                  the policy of the asking instance decides: let in
//	                              as anonymous, or refused (not_authorized)
//	user is in GW_USERS           the password must verify, else refused
//	                              (bad_credentials), also where anonymous is allowed
//	user is not in GW_USERS       as without a user name
//
// A user is looked up in the scope of the instance ("stomp.default") first, then
// in "global". A record that cannot be read refuses its user: a fault in the
// store must not turn a user into an anonymous one.
//
// What it costs. A password costs about 30 ms and 19 MiB (argon2id with the
// parameters of OWASP), so only GOMAXPROCS of them are checked at a time; who
// waits longer than its caller is told Busy. Users are in memory, kept by a
// watch. A success is remembered for a minute, under an HMAC with a key of this
// process over the password and the revision of the record: a changed or deleted
// user never meets it again. Failures are not remembered.
//
// Guessing. An unknown user costs the time of a wrong password of our own
// hashes, where the answer would not tell the difference anyway. Each address
// (each /64 of IPv6) has a budget of failures, 30 and then 5 a second in every
// authn process; without one it is told Busy before anything is computed, users
// whose success is remembered excepted. It is a budget and no ban because
// devices share addresses behind NAT: the wrong ones among them slow the others
// down, they do not lock them out.
//
// No password and no hash is in any log, error, answer or audit record.
package authn

package authn

import (
	"context"

	"sluice/pkg/api"
)

// Reasons of a refusal, for logs and events.
const (
	BadCredentials = "bad_credentials"
	NotAuthorized  = "not_authorized"
)

// check is the rules of the package comment.
func (s *Service) check(ctx context.Context, r api.AuthRequest) (api.AuthResponse, error) {
	if r.Username == "" {
		return anonymous(r), nil
	}
	user, found := s.users.find(r.ClientKey, r.Username)
	if !found && r.AllowAnonymous {
		return anonymous(r), nil
	}
	x := s.proofs.of(user.key, user.revision, string(r.Password))
	if found && s.proofs.has(x) {
		return welcome(user), nil
	}
	from := addressOf(r.Peer)
	if !s.budgets.allow(from) {
		return api.AuthResponse{}, api.Errorf(api.Busy, "authn.check", "too many failed attempts from this address, try later")
	}
	hash := user.hash
	if !hash.usable() {
		hash = s.dummy // nobody's password, at the same price
	}
	ok, err := s.verify(ctx, hash, x, string(r.Password))
	switch {
	case err != nil:
		return api.AuthResponse{}, err
	case ok:
		return welcome(user), nil
	}
	s.budgets.fail(from)
	if !found {
		return api.AuthResponse{Reason: NotAuthorized}, nil
	}
	return api.AuthResponse{Reason: BadCredentials}, nil
}

func anonymous(r api.AuthRequest) api.AuthResponse {
	if r.AllowAnonymous {
		return api.AuthResponse{Allow: true}
	}
	return api.AuthResponse{Reason: NotAuthorized}
}

func welcome(u record) api.AuthResponse {
	return api.AuthResponse{Allow: true, Superuser: u.superuser, Rules: u.rules}
}

// verify waits for its turn at most as long as the caller does. Whoever had the
// same question and its turn before may have answered it meanwhile: a thousand
// devices with one user cost one computation, not a thousand.
func (s *Service) verify(ctx context.Context, h passwordHash, x proof, pw string) (bool, error) {
	done, err := s.turn(ctx, "authn.check")
	if err != nil {
		return false, err
	}
	defer done()
	if s.proofs.has(x) {
		return true, nil
	}
	ok := h.verify(pw) && len(pw) <= maxPassword
	if ok {
		s.proofs.add(x)
	}
	return ok, nil
}

// turn bounds how many passwords are computed at a time.
func (s *Service) turn(ctx context.Context, op string) (done func(), err error) {
	busy := api.Errorf(api.Busy, op, "too many passwords to check, try later")
	if ctx.Err() != nil {
		return nil, busy
	}
	select {
	case s.turns <- struct{}{}:
		return func() { <-s.turns }, nil
	case <-ctx.Done():
		return nil, busy
	}
}

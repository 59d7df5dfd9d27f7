package management

import (
	"context"
	"encoding/json"
	"time"

	"sluice/pkg/api"
)

// operator is who asks, until callers have names.
const operator = "cli"

// auditRecord is the body on gw.audit.<who>.<verb>.
type auditRecord struct {
	At   time.Time `json:"at"`
	Who  string    `json:"who"`
	Verb string    `json:"verb"`
	Args any       `json:"args"` // the request; none of this service's has a secret
}

// audit writes down what is about to be done. It comes first: what cannot be
// written down is not done.
func (s *Service) audit(ctx context.Context, verb string, args any) error {
	data, err := json.Marshal(auditRecord{At: time.Now().UTC(), Who: operator, Verb: verb, Args: args})
	if err != nil {
		return err
	}
	if _, err := s.JS.Publish(ctx, "gw.audit."+operator+"."+verb, data); err != nil {
		return api.Wrap(api.Unavailable, verb, "the change cannot be audited now, so it is not made", err)
	}
	return nil
}

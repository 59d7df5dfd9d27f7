package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/urfave/cli/v2"

	"sluice/pkg/api"
	"sluice/services/authn"
)

const maxPassword = 4096

func usersCommand() *cli.Command {
	scope := &cli.StringFlag{Name: "scope", Usage: "an instance such as stomp.default, or global", Value: authn.Global}
	add := leaf("add", "USER", "make a user, or change one; the password is read from stdin", addUser, scope,
		&cli.BoolFlag{Name: "password-stdin", Usage: "do not ask, even at a terminal: the first line of stdin is the password"},
		&cli.BoolFlag{Name: "superuser", Usage: "no authorisation rules apply"},
	)
	add.Description = "A password is never an argument: those are in the shell's history and in the list of processes.\n" +
		"   printf %s \"$PASSWORD\" | sluicectl users add ann --password-stdin"
	return group("users", "built-in users",
		leaf("list", "", "all users", listUsers, &cli.StringFlag{Name: "scope", Usage: "only those of an instance, or global"}),
		add,
		leaf("delete", "USER", "forget a user", deleteUser, scope),
	)
}

func listUsers(x *ctl) error {
	all := []authn.UserInfo{}
	for r := (authn.ListUsers{Scope: x.String("scope"), Limit: clientsPage}); ; {
		page, err := ask[authn.ListUsers, authn.UserPage](x, "authn", "user.list", r)
		if err != nil {
			return err
		}
		all = append(all, page.Data...)
		if r.After = page.Next; r.After == "" {
			break
		}
	}
	t := table{header: []string{"SCOPE", "USER", "SUPERUSER", "RULES"}}
	for _, u := range all {
		t.add(u.Scope, u.UserID, strconv.FormatBool(u.Superuser), strconv.Itoa(len(u.Rules)))
	}
	return x.show(all, t)
}

func addUser(x *ctl) error {
	if isTerminal(x.App.Reader) && !x.Bool("password-stdin") {
		fmt.Fprint(x.err, "password (it will be shown as you type): ")
	}
	pw, err := readPassword(x.App.Reader)
	if err != nil {
		return err
	}
	u, err := ask[authn.PutUser, authn.UserInfo](x, "authn", "user.put",
		authn.PutUser{Scope: x.String("scope"), UserID: x.Args().First(), Password: pw, Superuser: x.Bool("superuser")})
	if err != nil {
		return err
	}
	if x.json {
		return x.encode(u)
	}
	if u.Created {
		return x.say("created")
	}
	return x.say("changed")
}

func deleteUser(x *ctl) error {
	r := authn.DeleteUser{Scope: x.String("scope"), UserID: x.Args().First()}
	if _, err := ask[authn.DeleteUser, bool](x, "authn", "user.delete", r); err != nil {
		return err
	}
	return x.done(deleted())
}

// readPassword takes the first line without its end. Errors do not repeat it.
func readPassword(r io.Reader) (api.Password, error) {
	line, err := bufio.NewReader(io.LimitReader(r, maxPassword+3)).ReadString('\n')
	if err != nil && !errors.Is(err, io.EOF) {
		return "", fmt.Errorf("read password: %w", err)
	}
	pw := strings.TrimSuffix(strings.TrimSuffix(line, "\n"), "\r")
	if pw == "" {
		return "", usagef("no password: it is the first line of stdin")
	}
	if len(pw) > maxPassword {
		return "", usagef("password is longer than %d bytes", maxPassword)
	}
	return api.Password(pw), nil
}

import { Button, PasswordInput, SegmentedControl, TextInput } from "@mantine/core";
import { useMutation, useQuery } from "@tanstack/react-query";
import { type FormEvent, useEffect, useState } from "react";
import { ApiError } from "../api/problem";
import { Command } from "../ui/Command";
import { Problem } from "../ui/Problem";
import css from "./Login.module.css";
import { providerLogin, providerName, refusal } from "./login";
import { useSessionState } from "./SessionContext";

export function Login() {
  const { state, enter } = useSessionState();
  const hasUsers = state.is === "out" && state.hasUsers;
  const [way, setWay] = useState(hasUsers ? "user" : "token");
  const [token, setToken] = useState("");
  const [user, setUser] = useState("");
  const [password, setPassword] = useState("");
  const [code, setCode] = useState("");
  const login = useMutation({
    mutationFn: () =>
      enter(
        way === "token"
          ? { token: token.trim() }
          : { user, password, oneTimeCode: code.trim() || undefined },
      ),
  });
  const provider = useQuery({ queryKey: ["login-ways"], queryFn: providerName });
  const refused = refusal(location.search);
  useEffect(() => {
    document.title = "Log in · Updraft";
  }, []);
  const needsCode =
    way === "user" &&
    login.error instanceof ApiError &&
    login.error.problem.code === "one_time_code_needed";
  const asksForCode = needsCode || code !== "";
  const submit = (event: FormEvent) => {
    event.preventDefault();
    login.mutate();
  };
  const expired = state.is === "out" && state.expired;
  return (
    <main className={css.page}>
      <form className={css.box} onSubmit={submit}>
        <p className={css.brand}>
          <img src="/ui/icon.svg" alt="" width={34} height={34} /> Updraft
        </p>
        <h1>Log in</h1>
        {expired && <p role="status">The server asks again who you are: your session has ended.</p>}
        {state.is === "out" && state.error !== undefined && <Problem error={state.error} />}
        {refused && <p role="alert">{refused}</p>}
        {provider.data && (
          <Button component="a" href={providerLogin(location)} variant="default" fullWidth>
            Log in with {provider.data}
          </Button>
        )}
        {hasUsers && (
          <SegmentedControl
            fullWidth
            value={way}
            onChange={(next) => {
              setWay(next);
              login.reset();
            }}
            data={[
              { value: "user", label: "With a password" },
              { value: "token", label: "With a token" },
            ]}
            aria-label="How to log in"
          />
        )}
        {way === "token" ? (
          <PasswordInput
            label="API token"
            description="It begins with updraft_"
            value={token}
            onChange={(event) => setToken(event.currentTarget.value)}
            autoComplete="off"
            required
            visibilityToggleButtonProps={{ "aria-label": "Show the token" }}
          />
        ) : (
          <>
            <TextInput
              label="User"
              value={user}
              onChange={(event) => setUser(event.currentTarget.value)}
              autoComplete="username"
              required
            />
            <PasswordInput
              label="Password"
              value={password}
              onChange={(event) => setPassword(event.currentTarget.value)}
              autoComplete="current-password"
              required
              visibilityToggleButtonProps={{ "aria-label": "Show the password" }}
            />
            {asksForCode && (
              <TextInput
                label="One-time code"
                description="From your authenticator"
                value={code}
                onChange={(event) => setCode(event.currentTarget.value)}
                autoComplete="one-time-code"
                inputMode="numeric"
                required
              />
            )}
          </>
        )}
        {login.error && !needsCode && <Problem error={login.error} />}
        <Button type="submit" loading={login.isPending} fullWidth>
          Log in
        </Button>
        {way === "token" && (
          <div className={css.help}>
            <p>No token yet? On the server, type:</p>
            <Command>updraft-server token create NAME --data DATA-FOLDER</Command>
          </div>
        )}
      </form>
    </main>
  );
}

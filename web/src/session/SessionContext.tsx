import { useQueryClient } from "@tanstack/react-query";
import {
  createContext,
  type ReactNode,
  useCallback,
  useContext,
  useEffect,
  useMemo,
  useRef,
  useState,
} from "react";
import { credentials, onLost, setCredentials } from "./credentials";
import { allows, type Login, logIn, logOut, resume, type Scope, type Session } from "./login";

export type State =
  | { is: "unknown" }
  | { is: "out"; hasUsers: boolean; expired: boolean; error?: unknown }
  | { is: "in"; session: Session };

interface Value {
  state: State;
  enter: (login: Login) => Promise<void>;
  leave: () => Promise<void>;
}

const SessionContext = createContext<Value | null>(null);

export function SessionProvider({ children }: { children: ReactNode }) {
  const [state, setState] = useState<State>({ is: "unknown" });
  const users = useRef(true);
  const queries = useQueryClient();

  useEffect(() => {
    resume().then(
      ({ session, hasUsers }) => {
        users.current = hasUsers;
        setState(session ? { is: "in", session } : { is: "out", hasUsers, expired: false });
      },
      (error) => setState({ is: "out", hasUsers: true, expired: false, error }),
    );
    onLost(() => {
      setCredentials({});
      setState({ is: "out", hasUsers: users.current, expired: true });
    });
  }, []);

  const enter = useCallback(
    async (login: Login) => {
      const session = await logIn(login);
      // What somebody else saw is not this one's.
      queries.clear();
      setState({ is: "in", session });
    },
    [queries],
  );
  const leave = useCallback(async () => {
    await logOut(credentials().csrfToken).catch(() => {});
    queries.clear();
    setState({ is: "out", hasUsers: users.current, expired: false });
  }, [queries]);

  const value = useMemo(() => ({ state, enter, leave }), [state, enter, leave]);
  return <SessionContext value={value}>{children}</SessionContext>;
}

export function useSessionState(): Value {
  const value = useContext(SessionContext);
  if (!value) throw new Error("there is no SessionProvider");
  return value;
}

/** Who is logged in; pages are shown to nobody else. */
export function useSession(): Session {
  const { state } = useSessionState();
  if (state.is !== "in") throw new Error("nobody is logged in");
  return state.session;
}

/** Whether to offer what needs a scope. */
export function useMay(): (needed: Scope) => boolean {
  const { scopes } = useSession();
  return useCallback((needed) => allows(scopes, needed), [scopes]);
}

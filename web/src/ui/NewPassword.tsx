import { PasswordInput } from "@mantine/core";

/** A new password, with what the server asks of one. */
export function NewPassword({
  label = "Password",
  value,
  onChange,
}: {
  label?: string;
  value: string;
  onChange: (value: string) => void;
}) {
  return (
    <PasswordInput
      label={label}
      description="At least 12 characters; some words in a row are easy to remember"
      value={value}
      onChange={(event) => onChange(event.currentTarget.value)}
      minLength={12}
      maxLength={1024}
      autoComplete="new-password"
      required
      visibilityToggleButtonProps={{ "aria-label": "Show the password" }}
    />
  );
}

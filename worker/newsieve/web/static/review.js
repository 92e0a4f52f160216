// Digits score the dimension that has the focus: 0 to 9, and 1 followed by 0 is 10.
const TEN_MILLISECONDS = 900;
let one = { at: -Infinity, group: null };

document.getElementById("review")?.addEventListener("keydown", (event) => {
  const group = event.target.closest("fieldset.rating");
  if (!group || event.ctrlKey || event.metaKey || event.altKey || !/^[0-9]$/.test(event.key)) return;
  const follows = one.group === group && event.timeStamp - one.at < TEN_MILLISECONDS;
  const score = follows && event.key === "0" ? "10" : event.key;
  one = score === "1" ? { at: event.timeStamp, group } : { at: -Infinity, group: null };
  const chosen = group.querySelector(`input[value="${score}"]`);
  chosen.checked = true;
  chosen.focus();
  event.preventDefault();
});

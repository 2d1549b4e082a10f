// Browser storage that never throws (private mode, full, forbidden).

function wrap(area) {
  return {
    get(key) {
      try { return JSON.parse(area().getItem(`guanjia.${key}`)); } catch { return null; }
    },
    set(key, value) {
      try { area().setItem(`guanjia.${key}`, JSON.stringify(value)); return true; } catch { return false; }
    },
    remove(key) {
      try { area().removeItem(`guanjia.${key}`); } catch { /* nothing to remove */ }
    },
  };
}

export const tabStore = wrap(() => sessionStorage);
export const deviceStore = wrap(() => localStorage);

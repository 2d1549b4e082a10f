// A picture from a phone is 4–12 MB and carries the place where it was taken. Redrawing it makes it small,
// upright and free of that data. Animated GIFs are sent as they are.

const LONG_SIDE = 1920;
const QUALITY = 0.85;

// → {photo: data URL, width, height}; throws when the browser cannot read the file as a picture.
export async function preparePhoto(file) {
  const url = URL.createObjectURL(file);
  try {
    const image = await load(url);
    const { naturalWidth: width, naturalHeight: height } = image;
    if (file.type === 'image/gif') return { photo: await dataUrl(file), width, height };
    return redraw(image, width, height);
  } finally {
    URL.revokeObjectURL(url);
  }
}

function load(url) {
  return new Promise((resolve, reject) => {
    const image = new Image();
    image.onload = () => (image.naturalWidth ? resolve(image) : reject(new Error('empty picture')));
    image.onerror = () => reject(new Error('not a picture'));
    image.src = url;
  });
}

function redraw(image, fullWidth, fullHeight) {
  const scale = Math.min(1, LONG_SIDE / Math.max(fullWidth, fullHeight));
  const canvas = document.createElement('canvas');
  canvas.width = Math.max(1, Math.round(fullWidth * scale));
  canvas.height = Math.max(1, Math.round(fullHeight * scale));
  const pen = canvas.getContext('2d');
  pen.fillStyle = '#fff';
  pen.fillRect(0, 0, canvas.width, canvas.height);
  pen.drawImage(image, 0, 0, canvas.width, canvas.height);
  return { photo: canvas.toDataURL('image/jpeg', QUALITY), width: canvas.width, height: canvas.height };
}

export function dataUrl(file) {
  return new Promise((resolve, reject) => {
    const reader = new FileReader();
    reader.onload = () => resolve(reader.result);
    reader.onerror = () => reject(reader.error);
    reader.readAsDataURL(file);
  });
}

export function blobOf(url) {
  const [head, body] = url.split(',');
  const bytes = Uint8Array.from(atob(body), (char) => char.charCodeAt(0));
  return new Blob([bytes], { type: head.slice(5, head.indexOf(';')) });
}

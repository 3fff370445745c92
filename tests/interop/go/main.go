// Verifies a published audit log with golang.org/x/mod/sumdb alone: none of the gateway's own code.
//
//	go run main.go [-from CHECKPOINT]... DIR VKEY
//
// Every entry is hashed and found in the tree whose root the checkpoint signs, all tiles are authenticated, and the log
// begins with each older checkpoint given. Prints "verified N entries"; exit status 1 and one line on failure.
package main

import (
	"encoding/binary"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

const (
	tileHeight = 8
	tileWidth  = 1 << tileHeight
)

type files []string

func (f *files) String() string     { return strings.Join(*f, ",") }
func (f *files) Set(v string) error { *f = append(*f, v); return nil }

func main() {
	var older files
	flag.Var(&older, "from", "an older checkpoint `file`; repeatable")
	flag.Parse()
	if flag.NArg() != 2 {
		fmt.Fprintln(os.Stderr, "usage: [-from CHECKPOINT]... DIR VKEY")
		os.Exit(2)
	}
	size, err := verify(flag.Arg(0), flag.Arg(1), older)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	fmt.Printf("verified %d entries\n", size)
}

func verify(dir, vkey string, older []string) (int64, error) {
	key, err := note.NewVerifier(vkey)
	if err != nil {
		return 0, err
	}
	tree, err := openCheckpoint(filepath.Join(dir, "checkpoint"), key)
	if err != nil {
		return 0, err
	}
	hashes := tlog.TileHashReader(tree, &tileReader{dir: dir, size: tree.N})
	if err := checkTree(dir, tree, hashes); err != nil {
		return 0, err
	}
	for _, name := range older {
		if err := checkOlder(name, key, tree, hashes); err != nil {
			return 0, fmt.Errorf("%s: %w", name, err)
		}
	}
	return tree.N, nil
}

// openCheckpoint is tlog.ParseTree for checkpoints of any origin: ParseTree knows only that of the go.sum database.
func openCheckpoint(name string, key note.Verifier) (tlog.Tree, error) {
	data, err := os.ReadFile(name)
	if err != nil {
		return tlog.Tree{}, err
	}
	opened, err := note.Open(data, note.VerifierList(key))
	if err != nil {
		return tlog.Tree{}, fmt.Errorf("%s: %w", name, err)
	}
	origin, rest, _ := strings.Cut(opened.Text, "\n")
	if origin != key.Name() {
		return tlog.Tree{}, fmt.Errorf("%s: is of %q", name, origin)
	}
	tree, err := tlog.ParseTree([]byte("go.sum database tree\n" + rest))
	if err != nil {
		return tlog.Tree{}, fmt.Errorf("%s: %w", name, err)
	}
	return tree, nil
}

// checkTree has the library authenticate every tile, and compares the leaves with the entries' own hashes.
func checkTree(dir string, tree tlog.Tree, hashes tlog.HashReader) error {
	for level := 0; tree.N>>(tileHeight*level) > 0; level++ {
		count := tree.N >> (tileHeight * level)
		for n := int64(0); n*tileWidth < count; n++ {
			indexes := make([]int64, 0, tileWidth)
			for i := n * tileWidth; i < min64(count, (n+1)*tileWidth); i++ {
				indexes = append(indexes, tlog.StoredHashIndex(tileHeight*level, i))
			}
			// What a TileHashReader returns is proven to be in the tree.
			proven, err := hashes.ReadHashes(indexes)
			if err != nil {
				return fmt.Errorf("tile %d of level %d: %w", n, level, err)
			}
			if level == 0 {
				if err := checkBundle(dir, n, proven); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

func checkBundle(dir string, n int64, proven []tlog.Hash) error {
	name := filepath.Join(dir, tilePath("entries", n, len(proven)))
	data, err := os.ReadFile(name)
	if err != nil {
		return err
	}
	for i, hash := range proven {
		index := n*tileWidth + int64(i)
		entry, rest, err := cut(data)
		if err != nil {
			return fmt.Errorf("%s: entry %d: %w", name, index, err)
		}
		if tlog.RecordHash(entry) != hash {
			return fmt.Errorf("%s: entry %d is not the one in the tree", name, index)
		}
		data = rest
	}
	if len(data) != 0 {
		return fmt.Errorf("%s: more than %d entries", name, len(proven))
	}
	return nil
}

// cut takes the first entry from a bundle: a 16-bit length and as many bytes.
func cut(data []byte) (entry, rest []byte, err error) {
	if len(data) < 2 {
		return nil, nil, errors.New("bundle ends early")
	}
	length := int(binary.BigEndian.Uint16(data))
	if len(data) < 2+length {
		return nil, nil, errors.New("bundle ends early")
	}
	return data[2 : 2+length], data[2+length:], nil
}

// checkOlder proves that the log began as the older checkpoint says.
func checkOlder(name string, key note.Verifier, tree tlog.Tree, hashes tlog.HashReader) error {
	old, err := openCheckpoint(name, key)
	if err != nil {
		return err
	}
	proof, err := tlog.ProveTree(tree.N, old.N, hashes)
	if err != nil {
		return err
	}
	return tlog.CheckTree(proof, tree.N, tree.Hash, old.N, old.Hash)
}

// tileReader reads C2SP tlog-tiles; the library's own paths have the height in them.
type tileReader struct {
	dir   string
	size  int64
	known map[tlog.Tile][]byte
}

func (r *tileReader) Height() int { return tileHeight }

func (r *tileReader) ReadTiles(tiles []tlog.Tile) ([][]byte, error) {
	result := make([][]byte, len(tiles))
	for i, tile := range tiles {
		if data, ok := r.known[tile]; ok {
			result[i] = data
			continue
		}
		name := filepath.Join(r.dir, tilePath(fmt.Sprint(tile.L), tile.N, tile.W))
		data, err := os.ReadFile(name)
		if err != nil {
			return nil, err
		}
		if len(data) != tile.W*tlog.HashSize {
			return nil, fmt.Errorf("%s: %d bytes", name, len(data))
		}
		result[i] = data
	}
	return result, nil
}

// SaveTiles is told of tiles that are authentic: those may be kept.
func (r *tileReader) SaveTiles(tiles []tlog.Tile, data [][]byte) {
	if r.known == nil || len(r.known) > 4096 {
		r.known = make(map[tlog.Tile][]byte)
	}
	for i, tile := range tiles {
		r.known[tile] = data[i]
	}
}

// tilePath is tile/<level>/<n>[.p/<width>] of c2sp.org/tlog-tiles.
func tilePath(level string, n int64, width int) string {
	path := fmt.Sprintf("%03d", n%1000)
	for n >= 1000 {
		n /= 1000
		path = fmt.Sprintf("x%03d/%s", n%1000, path)
	}
	if width != tileWidth {
		path = fmt.Sprintf("%s.p/%d", path, width)
	}
	return filepath.Join("tile", level, filepath.FromSlash(path))
}

func min64(a, b int64) int64 {
	if a < b {
		return a
	}
	return b
}
